/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Configurations in the page cache: whole files, by the inodes that their pages name. */
#ifndef KCONFIG_CONFIG_FILES_H
#define KCONFIG_CONFIG_FILES_H

#include "kconfig/config_scan.h"
#include "kconfig/config_text.h"

/*
 * Reads every file that one of the pages is of, and notes in each page which one that is; pages of what is no
 * ordinary file, or too large for a configuration, stay loose. Without types nothing is done. Errors: NO_MEMORY.
 */
enum kioku_status config_files_read(struct kioku_kernel *kernel, struct config_scan *scan,
				    struct config_texts *texts);

#endif
