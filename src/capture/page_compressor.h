/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compresses pages one by one, as kdump images keep them. */
#ifndef CAPTURE_PAGE_COMPRESSOR_H
#define CAPTURE_PAGE_COMPRESSOR_H

#include "base/cleanup.h"
#include "base/page_state.h"
#include "source/page_codec.h"

struct page_compressor;

/* By the names of kioku_capture_options.page_codec; false: there is none of that name. */
bool page_codec_named(const char *name, enum page_codec *out);

/* For one thread. NULL: no memory. The codec is any but LZO, and not page_codec_missing(). */
struct page_compressor *page_compressor_open(enum page_codec codec);
void page_compressor_close(struct page_compressor *compressor);

/*
 * Compresses CAPTURE_PAGE bytes into as much room. Returns the size, or 0 where the page does not
 * get smaller and is better stored as it is.
 */
size_t page_compress(struct page_compressor *compressor, const uint8_t *page, uint8_t *out);

DEFINE_CLEANUP(page_compressor, struct page_compressor, page_compressor_close)
#define AUTO_PAGE_COMPRESSOR CLEANUP(cleanup_page_compressor)

#endif
