/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is called for files of /proc: struct proc_dir_entry, fs/proc/internal.h, 4.18 to 7.0. The kernel's own entries
 * and those of modules are in one tree; those below /proc/net are in one for each network namespace.
 */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "check/operations.h"
#include "kernel/net_namespace.h"
#include "kernel/rbtree.h"

enum {
	DEPTH_LIMIT = 32,
	ENTRY_LIMIT = 1 << 18,
	NAME_ROOM = 256, /* bytes; namelen is one byte */
	PERMANENT = 1,   /* PROC_ENTRY_PERMANENT: of the kernel's own, v5.7 on (d919b33dafb3) */
};

struct entry {
	uint64_t node, first, parent; /* node: of which only the place matters */
	uint64_t name, operations, inode_operations, dentry_operations;
	uint64_t sequence; /* struct seq_operations, or single_show() */
	uint64_t write;
	uint16_t mode;
	uint8_t name_size, flags;
};

static const struct member entry_members[] = {
	MEMBER(struct entry, node, "subdir_node.__rb_parent_color"),
	MEMBER(struct entry, first, "subdir.rb_node", "subdir.rb_root.rb_node"), /* until v4.18 */
	MEMBER(struct entry, parent, "parent"),
	MEMBER(struct entry, name, "name"),
	MEMBER(struct entry, name_size, "namelen"),
	MEMBER(struct entry, mode, "mode"),
	/* v5.6, d56c0d45f0e2; of a folder proc_dir_ops, which is in the same place. */
	MEMBER(struct entry, operations, "proc_ops", "proc_fops"),
	MEMBER(struct entry, inode_operations, "proc_iops"),
	OPTIONAL(struct entry, dentry_operations, "proc_dops"),
	OPTIONAL(struct entry, sequence, "seq_ops"),
	OPTIONAL(struct entry, write, "write"),
	OPTIONAL(struct entry, flags, "flags"),
};
static const struct record entry_record = RECORD(struct entry, "proc_dir_entry", entry_members);

struct namespace_root {
	uint64_t entry;
};

static const struct member root_members[] = { MEMBER(struct namespace_root, entry, "proc_net") };
static const struct record root_record = RECORD(struct namespace_root, "net", root_members);

/* A walk through the tree. */
struct walk {
	struct operations operations;
	const struct binding *binding;
	const char *file_type;   /* of what entry.operations is */
	struct address_set seen; /* entries */
	uint32_t namespace;      /* 0: none in particular */
	uint64_t network;        /* the entry of its /proc/net */
	size_t path_size;
	char path[OPERATIONS_SUBJECT - 64]; /* of the entry that is looked at */
};

static void walk_release(struct walk *walk)
{
	operations_release(&walk->operations);
	address_set_release(&walk->seen);
}

static void name_entry(void *user, char out[OPERATIONS_SUBJECT])
{
	const struct walk *walk = user;
	char namespace[32] = "";

	if (walk->namespace)
		snprintf(namespace, sizeof(namespace), ", namespace %u", walk->namespace);
	snprintf(out, OPERATIONS_SUBJECT, "%.*s%s", (int)walk->path_size, walk->path, namespace);
}

/* --- one entry */

/*
 * What a file is that only goes through a sequence, which is the entry's: the kernel's own operations for these, by
 * their names (fs/proc/generic.c, fs/proc/proc_net.c).
 */
static const struct {
	const char *symbol;
	bool is_table; /* of struct seq_operations; else one function */
} sequences[] = {
	{ "proc_seq_ops", true },      { "proc_net_seq_ops", true },
	{ "proc_single_ops", false },  { "proc_net_single_ops", false },
	{ "proc_seq_fops", true },     { "proc_net_seq_fops", true },
	{ "proc_single_fops", false }, { "proc_net_single_fops", false },
};

static bool knows_sequences(const struct kioku_kernel *kernel)
{
	for (size_t i = 0; i < sizeof(sequences) / sizeof(*sequences); i++)
		if (kernel_symbol(kernel, sequences[i].symbol))
			return true;
	return false;
}

/* Entries that the kernel makes itself, where it has what they show built in: the tables of sockets. */
static const struct {
	const char *name, *symbol;
} own_sequences[] = {
	{ "tcp", "tcp4_seq_ops" },        { "tcp6", "tcp6_seq_ops" },
	{ "udp", "udp_seq_ops" },         { "udp6", "udp6_seq_ops" },
	{ "raw", "raw_seq_ops" },         { "raw6", "raw6_seq_ops" },
	{ "unix", "unix_seq_ops" },       { "packet", "packet_seq_ops" },
	{ "netlink", "netlink_seq_ops" }, { "route", "fib_route_seq_ops" },
};

static bool is_own_sequence(const struct walk *walk, const struct entry *entry, const char *name)
{
	if (entry->parent != walk->network)
		return false;
	for (size_t i = 0; i < sizeof(own_sequences) / sizeof(*own_sequences); i++)
		if (strcmp(name, own_sequences[i].name) == 0)
			return kernel_symbol(walk->operations.run->kernel,
					     own_sequences[i].symbol) != 0;
	return false;
}

static enum kioku_status judge_sequence(struct walk *walk, const struct entry *entry,
					const char *name)
{
	enum operations_owner owner =
		is_own_sequence(walk, entry, name) ? OPERATIONS_OF_KERNEL : OPERATIONS_OF_ANYBODY;

	for (size_t i = 0; i < sizeof(sequences) / sizeof(*sequences); i++) {
		uint64_t symbol = kernel_symbol(walk->operations.run->kernel, sequences[i].symbol);
		if (symbol == 0 || entry->operations != symbol)
			continue;
		return sequences[i].is_table
			       ? operations_judge(&walk->operations, "seq_operations",
						  entry->sequence, owner)
			       : operations_judge_function(&walk->operations, "single_show",
							   entry->sequence, owner);
	}
	return KIOKU_OK;
}

static enum kioku_status judge_entry(struct walk *walk, const struct entry *entry, const char *name)
{
	struct operations *operations = &walk->operations;
	enum operations_owner owner =
		entry->flags & PERMANENT ? OPERATIONS_OF_KERNEL : OPERATIONS_OF_ANYBODY;

	TRY(operations_judge(operations, "inode_operations", entry->inode_operations,
			     OPERATIONS_OF_KERNEL));
	TRY(operations_judge(operations, "dentry_operations", entry->dentry_operations,
			     OPERATIONS_OF_KERNEL));
	if (S_ISDIR(entry->mode))
		return operations_judge(operations, "file_operations", entry->operations,
					OPERATIONS_OF_KERNEL);
	if (!S_ISREG(entry->mode))
		return KIOKU_OK;
	TRY(operations_judge(operations, walk->file_type, entry->operations, owner));
	TRY(operations_judge_function(operations, "write", entry->write, owner));
	return judge_sequence(walk, entry, name);
}

/* --- the tree */

static void lose(const struct walk *walk, const char *what, const char *why)
{
	diagnose(&walk->operations.run->kernel->diagnostics, KIOKU_GAP,
		 "entries below %.*s: %s: %s", (int)walk->path_size, walk->path, what, why);
}

static bool read_name(const struct walk *walk, const struct entry *entry, char out[NAME_ROOM])
{
	memset(out, 0, NAME_ROOM);
	if (entry->name_size == 0 ||
	    !kernel_is_pointer(walk->operations.run->kernel, entry->name) ||
	    kernel_read(walk->operations.run->kernel, entry->name, out, entry->name_size, NULL) !=
		    KIOKU_OK)
		return false;
	return strlen(out) == entry->name_size && !strchr(out, '/');
}

static size_t enter(struct walk *walk, const char *name)
{
	size_t size = walk->path_size;
	size_t room = sizeof(walk->path) - size;
	int length = snprintf(walk->path + size, room, "/%s", name);

	walk->path_size += (size_t)length < room ? (size_t)length : room - 1;
	return size;
}

static enum kioku_status walk_folder(struct walk *walk, uint64_t folder, uint64_t first,
				     unsigned depth);

static enum kioku_status take_entry(struct walk *walk, uint64_t folder, uint64_t address,
				    unsigned depth)
{
	struct entry entry;
	char name[NAME_ROOM];
	enum kioku_status status =
		record_read(walk->operations.run->kernel, walk->binding, address, &entry, NULL);

	if (status != KIOKU_OK || entry.parent != folder || !read_name(walk, &entry, name)) {
		lose(walk, "an entry",
		     kioku_status_name(status != KIOKU_OK ? status : KIOKU_ERROR_CORRUPT));
		return KIOKU_OK;
	}
	switch (address_set_add(&walk->seen, address)) {
	case ADDRESS_NO_MEMORY: return KIOKU_ERROR_NO_MEMORY;
	case ADDRESS_KNOWN: lose(walk, name, "it is elsewhere, too"); return KIOKU_OK;
	case ADDRESS_ADDED: break;
	}
	size_t size = enter(walk, name);
	status = judge_entry(walk, &entry, name);
	if (status == KIOKU_OK && S_ISDIR(entry.mode))
		status = walk_folder(walk, address, entry.first, depth + 1);
	walk->path_size = size;
	return status;
}

static enum kioku_status walk_folder(struct walk *walk, uint64_t folder, uint64_t first,
				     unsigned depth)
{
	AUTO_RB_WALK struct rb_walk nodes = { 0 };
	uint64_t node;

	if (first == 0)
		return KIOKU_OK;
	if (depth == DEPTH_LIMIT) {
		lose(walk, "all", "too many folders in each other");
		return KIOKU_OK;
	}
	rb_begin(&nodes, walk->operations.run->kernel, first, "entries of /proc");
	while (rb_next(&nodes, &node)) {
		if (walk->seen.count >= ENTRY_LIMIT) {
			lose(walk, "the rest", "there are too many");
			return KIOKU_OK;
		}
		TRY(take_entry(walk, folder,
			       node - BINDING_OFFSET(walk->binding, struct entry, node), depth));
	}
	return KIOKU_OK;
}

/* What a tree begins with is itself an entry; that of /proc/net is none that can be opened, and says nothing. */
static enum kioku_status walk_tree(struct walk *walk, uint64_t root, const char *path)
{
	struct entry entry;

	walk->path_size = (size_t)snprintf(walk->path, sizeof(walk->path), "%s", path);
	enum kioku_status status =
		record_read_at(walk->operations.run->kernel, &entry_record, root, &entry);
	if (status != KIOKU_OK || (entry.mode && !S_ISDIR(entry.mode))) {
		lose(walk, "all", kioku_status_name(status ? status : KIOKU_ERROR_CORRUPT));
		return KIOKU_OK;
	}
	if (entry.mode)
		TRY(judge_entry(walk, &entry, path));
	return walk_folder(walk, root, entry.first, 0);
}

static enum kioku_status walk_namespace(void *user, const struct net_namespace *namespace)
{
	struct walk *walk = user;
	struct namespace_root root = { 0 };
	enum kioku_status status = record_read_at(walk->operations.run->kernel, &root_record,
						  namespace->address, &root);

	walk->namespace = namespace->inode;
	walk->network = root.entry;
	walk->path_size = (size_t)snprintf(walk->path, sizeof(walk->path), "/proc/net");
	if (status != KIOKU_OK)
		lose(walk, "all", kioku_status_name(status));
	/* One that is being made or given up has none. */
	return status == KIOKU_OK && root.entry ? walk_tree(walk, root.entry, "/proc/net")
						: KIOKU_OK;
}

static enum kioku_status walk_namespaces(struct walk *walk)
{
	struct kioku_error why = { 0 };
	enum kioku_status status =
		net_namespace_each(walk->operations.run->kernel, walk_namespace, walk, &why);

	if (status != KIOKU_ERROR_UNSUPPORTED)
		return status;
	walk->path_size = (size_t)snprintf(walk->path, sizeof(walk->path), "/proc/net");
	lose(walk, "all", why.message);
	return KIOKU_OK;
}

static const struct record *const records[] = { &entry_record, NULL };

static enum kioku_status run_check(struct check_run *run, struct kioku_error *error)
{
	CLEANUP(walk_release) struct walk walk = { 0 };
	uint64_t root = kernel_symbol(run->kernel, "proc_root");

	if (root == 0)
		return error_set(error, KIOKU_ERROR_UNSUPPORTED, "no symbol proc_root");
	TRY(operations_begin(
		&walk.operations, run,
		"operations of entries of /proc with the code of the kernel and modules", error));
	TRY(record_bind(run->kernel, &entry_record, &walk.binding, error));
	walk.operations.name = name_entry;
	walk.operations.user = &walk;
	walk.file_type = types_size_of(run->kernel->types, "struct proc_ops") ? "proc_ops"
									      : "file_operations";
	if (!knows_sequences(run->kernel))
		diagnose(&run->kernel->diagnostics, KIOKU_GAP,
			 "which entries of /proc are sequences is not known: no symbols");
	TRY(walk_tree(&walk, root, "/proc"));
	return walk_namespaces(&walk);
}

const struct check proc_entries_check = {
	.name = "proc_entries",
	.help = "what is called for files of /proc",
	.records = records,
	.run = run_check,
};
