/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * VMCOREINFO: lines KEY=VALUE that the kernel keeps for crash dumps (kernel/vmcore_info.c, earlier
 * kernel/crash_core.c and kernel/kexec.c). SYMBOL() and KERNELOFFSET are hexadecimal without 0x,
 * KASLR included; NUMBER(), OFFSET(), SIZE() and LENGTH() are decimal, NUMBER() signed.
 */
#ifndef FORMAT_VMCOREINFO_FORMAT_H
#define FORMAT_VMCOREINFO_FORMAT_H

#include "base/bytes.h"

/* A value is what follows "KEY=" up to the end of its line; the first line of a key counts. */
bool vmcoreinfo_find(struct bytes text, const char *key, struct bytes *value);

/* A value that is nothing but one number of at most 64 bits. */
bool vmcoreinfo_hex(struct bytes text, const char *key, uint64_t *out);
bool vmcoreinfo_decimal(struct bytes text, const char *key, int64_t *out);

/*
 * The length of the text that starts the given bytes, 0 if none does. It ends at a NUL or at the
 * first byte that no such text holds; a line that is cut off by the end of the bytes counts. The
 * text may be longer than a page since v7.0, so give it what follows the page too.
 */
size_t vmcoreinfo_length(struct bytes bytes);

#endif
