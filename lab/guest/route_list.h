/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef ROUTE_LIST_H
#define ROUTE_LIST_H

#include <stdio.h>

/*
 * All routes of the network namespace that we are in, as rtnetlink tells of them: a line of names and
 * values for each next hop, numbers as they are, "-" for an address that is not there.
 */
void list_routes(FILE *out);

#endif
