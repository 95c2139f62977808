/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What of a kernel's types this library asks for; needed_types.py gathers it from the sources. */
#ifndef LAYOUT_NEEDED_TYPES_H
#define LAYOUT_NEEDED_TYPES_H

/* With their keywords, as in "struct page"; NULL past the last. No kernel has all of them. */
extern const char *const needed_types[];

#endif
