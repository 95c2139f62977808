/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cells of the views of the network. */
#ifndef VIEW_NETWORK_CELLS_H
#define VIEW_NETWORK_CELLS_H

#include "kernel/net_device.h"
#include "view/view.h"

#define BITS_ROOM   128
#define NUMBER_ROOM 12

struct bit_name {
	uint32_t bit;
	const char *name;
};

/* The names of the bits that are set, with commas; NOT_APPLICABLE: none is. */
struct kioku_cell bits_cell(const struct bit_name *names, size_t count, uint32_t bits,
			    char room[BITS_ROOM]);

struct number_name {
	uint32_t number;
	const char *name;
};

/* The name of a number, or the number. */
struct kioku_cell number_name_cell(const struct number_name *names, size_t count, uint32_t number,
				   char room[NUMBER_ROOM]);

struct kioku_cell device_name_cell(const struct net_device *device);

#endif
