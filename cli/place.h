/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where an image goes, as it was said on the command line. */
#ifndef CLI_PLACE_H
#define CLI_PLACE_H

#include <stdbool.h>

/* Whether only the bytes of the image go there, and nothing beside it. */
bool place_is_stream(const char *place);

/* Whether it is a folder, of this machine or of a far one, so that the image needs a name. */
bool place_is_folder(const char *place);

/* Whether it is a URL, so that it is not a path of this machine. */
bool place_is_far(const char *place);

/* The place of a file in a folder, for the caller to free; NULL: no memory. */
char *place_in_folder(const char *folder, const char *name);

#endif
