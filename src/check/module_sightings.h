/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who knows of which module: the kernel's ways to its modules, none of which needs the others. */
#ifndef CHECK_MODULE_SIGHTINGS_H
#define CHECK_MODULE_SIGHTINGS_H

#include "check/ways.h"
#include "kernel/module.h"

enum module_view {
	MODULE_VIEW_LIST,   /* the list that /proc/modules shows */
	MODULE_VIEW_SYSFS,  /* the folders of /sys/module */
	MODULE_VIEW_TREE,   /* the tree by which the module of an address is found */
	MODULE_VIEW_CARVED, /* its structure was found in the memory of modules */
	MODULE_VIEWS
};

struct module_sighting {
	struct module module;
	unsigned views; /* a bit for each enum module_view */
};

struct module_sightings {
	struct kioku_kernel *kernel;
	struct module_sighting *found; /* each once */
	size_t count, capacity;
	unsigned asked;   /* views that this kernel has */
	unsigned damaged; /* those of them of which something is lost */
};

/*
 * Asks all of them; what cannot be had is a gap, and its view is damaged. To be released in any case.
 * Errors: NO_MEMORY.
 */
enum kioku_status module_sightings_read(struct kioku_kernel *kernel, struct module_sightings *out,
					struct kioku_error *error);
void module_sightings_release(struct module_sightings *sightings);
#define AUTO_MODULE_SIGHTINGS CLEANUP(module_sightings_release)

/* By enum module_view. */
extern const struct ways module_ways;

#endif
