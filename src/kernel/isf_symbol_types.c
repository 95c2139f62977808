/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The names are those that volatility3 2.11 to 2.28 calls object_from_symbol() with, or takes the type of; each
 * type is the declaration's in the kernel, from v4.18 to v7.0 where no version stands. A symbol
 * whose declaration changed has a row for each: the first whose type this kernel has is taken, and only
 * if that fits into the room up to the next symbol.
 */
#include "kernel/isf_symbol_types.h"

static const struct isf_symbol_type rows[] = {
	/* init/init_task.c, kernel/{pid,nsproxy,cred,fork,utsname}.c, fs/{file,namespace}.c, mm/init-mm.c */
	{ .symbol = "init_task", .type = "struct task_struct" },
	{ .symbol = "init_mm", .type = "struct mm_struct" },
	{ .symbol = "init_cred", .type = "struct cred" },
	{ .symbol = "init_files", .type = "struct files_struct" },
	{ .symbol = "init_fs", .type = "struct fs_struct" },
	{ .symbol = "init_nsproxy", .type = "struct nsproxy" },
	{ .symbol = "init_pid_ns", .type = "struct pid_namespace" },
	{ .symbol = "init_uts_ns", .type = "struct uts_namespace" },
	{ .symbol = "init_net", .type = "struct net" },
	/* kernel/sched/core.c, arch/x86; BTF has variables of each CPU, but not where pahole 1.18 to 1.21 made it */
	{ .symbol = "runqueues", .type = "struct rq" },
	{ .symbol = "current_task", .type = "struct task_struct", .pointers = 1 },
	/* kernel/pid.c, up to v4.14 */
	{ .symbol = "pidhash_shift", .type = "unsigned int" },
	{ .symbol = "pid_hash", .type = "struct hlist_head", .pointers = 1 },
	/* kernel/module/main.c (kernel/module.c), kernel/params.c */
	{ .symbol = "modules", .type = "struct list_head" },
	{ .symbol = "mod_tree", .type = "struct mod_tree_root" },
	{ .symbol = "module_kset", .type = "struct kset", .pointers = 1 },
	/* kernel/printk/printk.c: the ring of v5.10, and the records before it */
	{ .symbol = "prb", .type = "struct printk_ringbuffer", .pointers = 1 },
	{ .symbol = "log_buf", .type = "char", .pointers = 1 },
	{ .symbol = "log_buf_len", .type = "unsigned int" },
	{ .symbol = "log_first_idx", .type = "unsigned int" },
	{ .symbol = "log_next_idx", .type = "unsigned int" },
	/* kernel/{capability,resource}.c, kernel/bpf/{syscall,core}.c, kernel/trace/ftrace.c, kernel/time */
	{ .symbol = "cap_last_cap", .type = "int" },
	{ .symbol = "iomem_resource", .type = "struct resource" },
	{ .symbol = "prog_idr", .type = "struct idr" },
	{ .symbol = "map_idr", .type = "struct idr" },
	{ .symbol = "link_idr", .type = "struct idr" },
	{ .symbol = "bpf_kallsyms", .type = "struct list_head" },
	{ .symbol = "ftrace_ops_list", .type = "struct ftrace_ops", .pointers = 1 },
	{ .symbol = "tk_core", .type = "struct tk_data" }, /* v6.13 */
	{ .symbol = "tk_core", .type = "struct timekeeper", .member = "timekeeper" },
	/* net/core/net_namespace.c, net/socket.c */
	{ .symbol = "net_namespace_list", .type = "struct list_head" },
	{ .symbol = "socket_file_ops", .type = "struct file_operations" },
	{ .symbol = "sockfs_dentry_operations", .type = "struct dentry_operations" },
	/* drivers/tty/{tty_io,vt/keyboard}.c */
	{ .symbol = "tty_drivers", .type = "struct list_head" },
	{ .symbol = "keyboard_notifier_list", .type = "struct atomic_notifier_head" },
	/* fs/super.c, mm/{slab_common,vmalloc}.c */
	{ .symbol = "super_blocks", .type = "struct list_head" },
	{ .symbol = "slab_caches", .type = "struct list_head" },
	{ .symbol = "vmap_area_list", .type = "struct list_head" }, /* up to v6.8 */
	/* arch/x86: IDT_ENTRIES of segment.h; page tables and their places */
	{ .symbol = "idt_table", .type = "gate_desc", .count = 256 },
	{ .symbol = "phys_base", .type = "long unsigned int" },
	{ .symbol = "page_offset_base", .type = "long unsigned int" },
	{ .symbol = "vmalloc_base", .type = "long unsigned int" },
	{ .symbol = "vmemmap_base", .type = "long unsigned int" },
	{ .symbol = "pgdir_shift", .type = "unsigned int" },
	{ .symbol = "ptrs_per_p4d", .type = "unsigned int" },
};

const struct isf_symbol_type *isf_symbol_types(size_t *count)
{
	*count = sizeof(rows) / sizeof(*rows);
	return rows;
}
