/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A second unit, which has the same types, and one of its own under a name that another one has. */
#include "dwarf_sample.h"

struct sample_incomplete {
	int now, known;
};

struct sample_private {
	int only_here;
};

struct sample_task *sample_second;
struct sample_incomplete sample_whole;
struct sample_private sample_private;
