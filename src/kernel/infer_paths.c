/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a file is called: struct file, dentry, inode and super_block, from files that are mapped. */
#include <string.h>
#include <sys/stat.h>

#include "kernel/infer_paths.h"

enum {
	INODE_ROOM = 256, /* bytes of each that are looked at */
	SUPERBLOCK_ROOM = 512,
	NAMES_LIMIT = 255, /* NAME_MAX */
	DENTRIES_LIMIT = 4096,
};

static const struct room rooms[] = { { 184, 192 }, { 320, 448 } };

static void paths_release(struct paths *paths)
{
	samples_release(&paths->files);
	samples_release(&paths->dentries);
	samples_release(&paths->inodes);
	samples_release(&paths->superblocks);
}

/* --- names: struct qstr has a sum, the length, and a pointer, to the dentry itself where the name is short */

enum { NAME_LENGTH = 4, NAME_POINTER = 8 };

static bool is_name_at(struct inference *inference, uint64_t pointer, uint32_t length)
{
	char name[NAMES_LIMIT + 1];

	return length > 0 && length <= NAMES_LIMIT &&
	       kernel_is_pointer(inference->kernel, pointer) &&
	       kernel_read(inference->kernel, pointer, name, length + 1, NULL) == KIOKU_OK &&
	       memchr(name, '\0', length + 1) == name + length;
}

static bool is_dentry_name(const struct samples *dentries, size_t column, void *user)
{
	struct inference *inference = user;
	size_t inside = 0;

	if (column + 16 > dentries->width)
		return false;
	for (size_t row = 0; row < dentries->count; row++) {
		uint64_t pointer = sample_u64(dentries, row, column + NAME_POINTER);
		if (!is_name_at(inference, pointer,
				sample_u32(dentries, row, column + NAME_LENGTH)))
			return false;
		inside += pointer - dentries->addresses[row] < dentries->width;
	}
	return inside * 4 > dentries->count * 3;
}

/* The only pointer of a file to something that has a name. */
static bool find_names(struct paths *paths)
{
	struct inference *inference = paths->inference;
	size_t found = 0, column, name;

	for (column = 8; column + 8 <= paths->files.width; column += 8) {
		struct samples dentries = { .width = paths->room.dentry };
		if (!infer_follow(inference, &paths->files, paths->files.count, column, 0,
				  &dentries) ||
		    !samples_only_column(&dentries, 8, is_dentry_name, inference, &name)) {
			samples_release(&dentries);
			continue;
		}
		samples_release(&paths->dentries);
		paths->dentries = dentries;
		paths->dentry = column;
		paths->name = name;
		found++;
	}
	return found == 1;
}

/* --- folders */

bool paths_has_name(struct paths *paths, uint64_t dentry)
{
	uint64_t pointer, sum;

	return infer_read(paths->inference, dentry + paths->name, &sum) &&
	       infer_read(paths->inference, dentry + paths->name + NAME_POINTER, &pointer) &&
	       is_name_at(paths->inference, pointer, (uint32_t)(sum >> 32));
}

/* Up to a dentry that is its own parent; false if there is none. */
static bool climb(struct paths *paths, size_t column, uint64_t dentry, uint64_t *root)
{
	uint64_t parent;

	for (size_t i = 0; i < PATH_STEPS_LIMIT; i++) {
		if (!infer_read(paths->inference, dentry + column, &parent))
			return false;
		*root = dentry;
		if (parent == dentry)
			return true;
		if (!paths_has_name(paths, parent))
			return false;
		dentry = parent;
	}
	return false;
}

static bool is_parent(const struct samples *dentries, size_t column, void *user)
{
	struct paths *paths = user;
	uint64_t root;

	for (size_t row = 0; row < dentries->count; row++)
		if (!climb(paths, column, dentries->addresses[row], &root))
			return false;
	return true;
}

static bool add_folders(struct paths *paths)
{
	struct samples *dentries = &paths->dentries;

	for (size_t row = 0; row < dentries->count && dentries->count < DENTRIES_LIMIT; row++)
		if (!samples_add_once(paths->inference->kernel, dentries,
				      sample_u64(dentries, row, paths->parent)))
			return false;
	return true;
}

/* --- pairs: two pointers in different structures that are the same in all */

struct pair_search {
	struct inference *inference;
	const struct samples *others; /* row by row */
	size_t other, found;          /* the column of the last pair, and how many there are */
};

static bool is_pair(const struct samples *rows, size_t column, void *user)
{
	struct pair_search *search = user;
	size_t found = 0;

	for (size_t row = 0; row < search->others->count; row++)
		if (!kernel_is_pointer(search->inference->kernel, sample_u64(rows, row, column)))
			return false;
	for (size_t other = 0; other + 8 <= search->others->width; other += 8) {
		size_t row = 0;
		while (row < search->others->count &&
		       sample_u64(rows, row, column) == sample_u64(search->others, row, other))
			row++;
		if (row < search->others->count)
			continue;
		search->other = other;
		found++;
	}
	search->found += found;
	return found > 0;
}

/* The only pair of columns. */
static bool find_pair(struct inference *inference, const struct samples *rows,
		      const struct samples *others, size_t *column, size_t *other)
{
	struct pair_search search = { inference, others, 0, 0 };

	if (!samples_only_column(rows, 8, is_pair, &search, column) || search.found != 1)
		return false;
	*other = search.other;
	return true;
}

/* --- inodes and file systems */

static bool is_root(const struct samples *superblocks, size_t column, void *user)
{
	struct paths *paths = user;
	size_t compared = 0;
	uint64_t root;

	for (size_t row = 0; row < superblocks->count; row++) {
		uint64_t dentry = paths->dentries.addresses[row];
		/* What has no name in a file system leads nowhere. */
		if (sample_u64(&paths->dentries, row, paths->parent) == dentry)
			continue;
		if (!climb(paths, paths->parent, dentry, &root) ||
		    sample_u64(superblocks, row, column) != root)
			return false;
		compared++;
	}
	return compared > 0;
}

static void find_file_systems(struct paths *paths)
{
	struct inference *inference = paths->inference;
	const struct samples *superblocks = &paths->superblocks;
	uint64_t next;
	size_t root;

	if (!samples_only_column(superblocks, 8, is_root, paths, &root))
		return;
	infer_member(inference, "super_block", "s_root", root, "void *",
		     "what all paths of the file system lead up to");
	/* The number of the device follows the node in the list of all. */
	for (size_t row = 0; row < superblocks->count; row++)
		if (!infer_is_linked(inference, superblocks->addresses[row], &next))
			return;
	infer_member(inference, "super_block", "s_list", 0, "struct list_head",
		     "node in a list that leads back");
	infer_member(inference, "super_block", "s_dev", 16, "unsigned int",
		     "declared after the node in the list");
}

/* A pointer into the inode itself, as that of all but devices is. */
static bool is_own_mapping(const struct samples *inodes, size_t column)
{
	uint64_t distance = sample_u64(inodes, 0, column) - inodes->addresses[0];

	if (distance <= column || distance > 4096)
		return false;
	for (size_t row = 1; row < inodes->count; row++)
		if (sample_u64(inodes, row, column) - inodes->addresses[row] != distance)
			return false;
	return true;
}

/* A number, how many links there are, no device (they are files), and a size. */
static bool is_inode_number(const struct inference *inference, const struct samples *inodes,
			    size_t column)
{
	if (column + 24 > inodes->width)
		return false;
	for (size_t row = 0; row < inodes->count; row++) {
		uint64_t number = sample_u64(inodes, row, column);
		uint64_t size = sample_u64(inodes, row, column + 16);
		if (number == 0 || kernel_is_pointer(inference->kernel, number) ||
		    sample_u32(inodes, row, column + 8) > UINT16_MAX ||
		    sample_u32(inodes, row, column + 12) != 0 || size == 0 ||
		    size > UINT64_C(1) << 56)
			return false;
	}
	return true;
}

/*
 * i_mode is the first member. i_mapping, i_security (with CONFIG_SECURITY), i_ino, the number of links,
 * i_rdev and i_size have followed each other in all kernels, after i_sb.
 */
static void find_inode_members(struct paths *paths)
{
	static const char *const evidence = "declared after what leads into the inode";
	struct inference *inference = paths->inference;
	const struct samples *inodes = &paths->inodes;
	size_t mapping = paths->inode_superblock + 8, number = mapping + 8;

	for (size_t row = 0; row < inodes->count; row++)
		if (!S_ISREG(sample_u32(inodes, row, 0) & 0xffff))
			return;
	infer_member(inference, "inode", "i_mode", 0, "short unsigned int",
		     "regular files in all that are mapped");
	if (!is_own_mapping(inodes, mapping))
		return;
	if (!is_inode_number(inference, inodes, number))
		number += 8;
	if (!is_inode_number(inference, inodes, number))
		return;
	infer_member(inference, "inode", "i_ino", number, "unsigned long", evidence);
	infer_member(inference, "inode", "i_rdev", number + 12, "unsigned int", evidence);
	infer_member(inference, "inode", "i_size", number + 16, "long", evidence);
}

/* --- all of it */

static bool is_inside(const struct samples *dentries, size_t pointer, size_t *place)
{
	size_t smallest = dentries->width;

	for (size_t row = 0; row < dentries->count; row++) {
		uint64_t distance = sample_u64(dentries, row, pointer) - dentries->addresses[row];
		if (distance < dentries->width && smallest != dentries->width &&
		    distance != smallest)
			return false;
		smallest = distance < smallest ? distance : smallest;
	}
	*place = smallest;
	return smallest < dentries->width;
}

/* d_parent, d_name and d_inode follow each other in all kernels whose layouts are not randomised. */
static bool is_ordered(const struct paths *paths)
{
	return paths->name == paths->parent + 8 && paths->dentry_inode == paths->name + 16;
}

/* Members of a dentry that are declared next to those that were found, in all kernels. */
static void note_neighbours(struct paths *paths)
{
	struct inference *inference = paths->inference;
	size_t superblock = paths->dentry_superblock, text;

	if (paths->parent >= 16)
		infer_member(inference, "hlist_bl_node", "pprev", 8, "void *", "declaration");
	if (paths->parent >= 16)
		infer_member(inference, "dentry", "d_hash", paths->parent - 16,
			     "struct hlist_bl_node", "declared before d_parent");
	infer_member(inference, "dentry", "d_op", superblock - 8, "void *", "declared before d_sb");
	infer_member(inference, "dentry", "d_fsdata", superblock + 16, "void *",
		     "declared after d_sb");
	if (is_inside(&paths->dentries, paths->name + NAME_POINTER, &text) && text < superblock - 8)
		infer_array(inference, "dentry", "d_iname", text, "char", superblock - 8 - text,
			    "where short names are");
}

static void note_dentry(struct paths *paths)
{
	static const char *const names = "a name of the length that is before it";
	struct inference *inference = paths->inference;

	infer_member(inference, "qstr", "len", NAME_LENGTH, "unsigned int", names);
	infer_member(inference, "qstr", "name", NAME_POINTER, "void *", names);
	infer_member(inference, "dentry", "d_name", paths->name, "struct qstr", names);
	infer_member(inference, "dentry", "d_parent", paths->parent, "void *",
		     "leads up to what is its own parent");
	infer_member(inference, "dentry", "d_inode", paths->dentry_inode, "void *",
		     "the file's inode, too");
	infer_member(inference, "file", "f_inode", paths->inode, "void *",
		     "the dentry's inode, too");
	infer_member(inference, "dentry", "d_sb", paths->dentry_superblock, "void *",
		     "the inode's, too");
	infer_member(inference, "inode", "i_sb", paths->inode_superblock, "void *",
		     "the dentry's, too");
}

/* Names that are made when they are asked for: operations of both pipes and sockets have that at one place. */
static void find_dynamic_names(struct inference *inference)
{
	static const char *const symbols[][2] = {
		{ "pipefs_dentry_operations", "pipefs_dname" },
		{ "sockfs_dentry_operations", "sockfs_dname" },
	};
	size_t found = 0;
	uint64_t value;

	for (size_t at = 0; at < 256; at += 8) {
		size_t equal = 0;
		for (size_t i = 0; i < 2; i++) {
			uint64_t function = kernel_symbol(inference->kernel, symbols[i][1]);
			equal += function &&
				 infer_read(inference,
					    kernel_symbol(inference->kernel, symbols[i][0]) + at,
					    &value) &&
				 value == function;
		}
		if (equal < 2)
			continue;
		if (found++ == 0)
			infer_member(inference, "dentry_operations", "d_dname", at, "void *",
				     "where pipes and sockets have their function");
	}
}

static bool take_files(struct paths *paths)
{
	const struct samples *files = &paths->inference->files;

	paths->files.width = paths->room.file;
	for (size_t row = 0; row < files->count; row++)
		if (!samples_add(paths->inference->kernel, &paths->files, files->addresses[row]))
			return false;
	return files->count > 0;
}

static bool find_paths(struct inference *inference, struct room room)
{
	CLEANUP(paths_release)
	struct paths paths = {
		.inference = inference,
		.room = room,
		.inodes = { .width = INODE_ROOM },
		.superblocks = { .width = SUPERBLOCK_ROOM },
	};
	size_t count = inference->files.count;

	if (!take_files(&paths) || !find_names(&paths) ||
	    !samples_only_column(&paths.dentries, 8, is_parent, &paths, &paths.parent) ||
	    !find_pair(inference, &paths.files, &paths.dentries, &paths.inode,
		       &paths.dentry_inode) ||
	    !infer_follow(inference, &paths.files, count, paths.inode, 0, &paths.inodes) ||
	    !find_pair(inference, &paths.inodes, &paths.dentries, &paths.inode_superblock,
		       &paths.dentry_superblock) ||
	    !infer_follow(inference, &paths.inodes, count, paths.inode_superblock, 0,
			  &paths.superblocks) ||
	    !add_folders(&paths))
		return false;
	note_dentry(&paths);
	infer_mounts(&paths);
	if (is_ordered(&paths)) {
		note_neighbours(&paths);
		find_file_systems(&paths);
		find_inode_members(&paths);
	}
	return true;
}

void infer_paths(struct inference *inference)
{
	for (size_t i = 0; i < sizeof(rooms) / sizeof(*rooms); i++) {
		if (!find_paths(inference, rooms[i]))
			continue;
		find_dynamic_names(inference);
		return;
	}
}
