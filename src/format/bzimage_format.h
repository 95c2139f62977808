/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* bzImage, as /boot/vmlinuz is (Documentation/arch/x86/boot.rst): where the packed vmlinux is in it. */
#ifndef FORMAT_BZIMAGE_FORMAT_H
#define FORMAT_BZIMAGE_FORMAT_H

#include "base/bytes.h"

#define BZIMAGE_HEAD_SIZE 0x250 /* bytes of a file that tell */

struct bzimage {
	uint64_t payload,
		payload_size; /* in the file, in bytes; what is packed, and its size when unpacked (4 bytes) */
};

/* False: it is none, or one before boot protocol 2.08 (v2.6.26), which does not tell. */
bool bzimage_decode(struct bytes head, struct bzimage *out);

#endif
