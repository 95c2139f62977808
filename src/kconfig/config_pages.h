/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configurations in pages that nobody says the file of: freed ones, archives, memory of programs. */
#ifndef KCONFIG_CONFIG_PAGES_H
#define KCONFIG_CONFIG_PAGES_H

#include "kconfig/config_scan.h"
#include "kconfig/config_text.h"

/*
 * Puts together what lies in pages without a file. One page goes on in another where the line across both is one,
 * and more than chance says so: the option is known from elsewhere, or page after page of a row fit. What is then in
 * several pieces becomes one text where there is only one that it can be of, and is_doubtful otherwise.
 * Errors: NO_MEMORY.
 */
enum kioku_status config_pages_join(struct kioku_source *source, const struct config_scan *scan,
				    struct config_texts *texts);

#endif
