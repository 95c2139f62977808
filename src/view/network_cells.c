/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "view/network_cells.h"

#include <stdio.h>
#include <string.h>

struct kioku_cell bits_cell(const struct bit_name *names, size_t count, uint32_t bits,
			    char room[BITS_ROOM])
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		if (bits & names[i].bit)
			size += (size_t)snprintf(room + size, BITS_ROOM - size, "%s%s",
						 size ? "," : "", names[i].name);
	return cell_text_if_any(room, size);
}

struct kioku_cell number_name_cell(const struct number_name *names, size_t count, uint32_t number,
				   char room[NUMBER_ROOM])
{
	for (size_t i = 0; i < count; i++)
		if (names[i].number == number)
			return cell_string(names[i].name);
	return cell_text(room, (size_t)snprintf(room, NUMBER_ROOM, "%u", number));
}

struct kioku_cell device_name_cell(const struct net_device *device)
{
	return cell_text(device->name, strnlen(device->name, NET_DEVICE_NAME));
}
