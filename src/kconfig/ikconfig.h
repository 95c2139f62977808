/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The configuration that a kernel was built with in itself: CONFIG_IKCONFIG, kernel/configs.c, v4.18 to v7.0. */
#ifndef KCONFIG_IKCONFIG_H
#define KCONFIG_IKCONFIG_H

#include "kconfig/config_text.h"
#include "kernel/kernel.h"

/*
 * Where the running kernel's own copy begins, in its image: by its symbol, or else by its mark in what may be
 * constants. Damage of it is said. Errors: NOT_FOUND (there is none).
 */
enum kioku_status ikconfig_locate(struct kioku_kernel *kernel, uint64_t *physical);

/*
 * Unpacks the copy that begins at a physical address, and reads its lines into a new text.
 * Errors: NOT_FOUND (none begins there), CORRUPT, ABSENT, NO_MEMORY, LIMIT (there are too many texts).
 */
enum kioku_status ikconfig_read(struct kioku_source *source, uint64_t physical,
				enum config_origin origin, struct config_texts *texts);

#endif
