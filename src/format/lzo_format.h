/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * LZO1X streams, as Linux's Documentation/staging/lzo.rst describes them; of bitstream version 0,
 * which is what lzo1x_1_compress() and lzo1x_999_compress() write, and 1, "lzo-rle" of the kernel.
 */
#ifndef FORMAT_LZO_FORMAT_H
#define FORMAT_LZO_FORMAT_H

#include "base/bytes.h"

/*
 * Decompresses a stream that must end where its bytes do. False if it is damaged or gives more than
 * room; else *size is what it gave.
 */
bool lzo_decode(struct bytes stream, uint8_t *out, size_t room, size_t *size);

#endif
