/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compiled in several ways, and never run: test_dwarf_types.c reads what the compiler says of it. */
#include "dwarf_sample.h"

struct sample_task sample_first;
struct sample_list sample_tasks;
