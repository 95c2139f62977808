/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a place that the kernel rewrites has what it would write there. */
#ifndef CHECK_PATCH_MATCH_H
#define CHECK_PATCH_MATCH_H

#include "check/patch_sites.h"

bool patch_match(struct patch_sites *sites, const struct patch_site *site);

/* Bytes of what counts calls in front of a function, at an address of the file; 0: it is not there. */
size_t patch_match_counter(const struct patch_sites *sites, uint64_t address);

/* The first of the sites that is above an address of the file; the count of all: there is none. */
size_t patch_sites_above(const struct patch_sites *sites, uint64_t address);

#endif
