/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Files that hold a digest of another file: lines "HEX  NAME" or "HEX *NAME" (GNU coreutils),
 * "ALGORITHM (NAME) = HEX" (BSD, and GNU with --tag), or HEX alone (LiME's hash.c).
 */
#ifndef FORMAT_DIGEST_FORMAT_H
#define FORMAT_DIGEST_FORMAT_H

#include "base/bytes.h"

#define DIGEST_SIZE_MAX 64u /* bytes */

/*
 * The digest of the file name in text: its own line's, or else that of the only line there is. size:
 * bytes of such a digest. is_bare: it stands alone. False: there is none, or more than one that
 * might be meant.
 */
bool digest_find(struct bytes text, const char *name, size_t size, uint8_t out[DIGEST_SIZE_MAX],
		 bool *is_bare);

#endif
