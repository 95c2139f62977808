/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Names of restored files. A file is at FILESYSTEM/PATH; one that was deleted at .deleted/FILESYSTEM/INODE-NAME,
 * one whose name is not known, or cannot be one, at .unnamed/FILESYSTEM/INODE. FILESYSTEM is
 * FSTYPE-MAJOR:MINOR, which never begins with a dot.
 */
#ifndef RECOVER_LOCATION_H
#define RECOVER_LOCATION_H

#include "kernel/inode.h"
#include "kernel/path.h"
#include "recover/output.h"

struct place {
	char path[PLACE_ROOM]; /* relative, NUL-terminated, of names that cannot lead elsewhere */
};

#define FILESYSTEM_ROOM 96

/* The folder of a file system; number: 2 for the second one that would have the same name. */
void place_filesystem(const struct superblock *superblock, unsigned number,
		      char out[FILESYSTEM_ROOM]);

/* path: of a dentry; NULL if it has none that can be read. */
void place_file(const char *filesystem, const struct inode *inode, const struct path_text *path,
		struct place *out);

/* Whether every name in a path can be one: not "", ".", "..", at most 255 bytes, no NUL. */
bool place_is_sound(const struct path_text *path);

#endif
