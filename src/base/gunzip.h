/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Unpacking what gzip packed, where its size is known. */
#ifndef BASE_GUNZIP_H
#define BASE_GUNZIP_H

#include <kioku/error.h>

#include "base/bytes.h"

/*
 * Unpacks one member (RFC 1952), of which must come just size bytes that its checksum confirms; what lies behind it
 * in packed is of no interest. Errors: NO_MEMORY, CORRUPT.
 */
enum kioku_status gunzip(struct bytes packed, uint8_t *out, size_t size);

#endif
