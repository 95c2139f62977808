/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kconfig/config_facts.h"

#include <stdio.h>
#include <string.h>

/*
 * Functions that are compiled only with an option, in a file of its own or inside of an #ifdef, and nowhere else
 * defined; members of a struct that stand inside of one. Of the kernel itself: a symbol of a module tells nothing.
 * Sources: Makefiles and files of v6.1, and what kernels of v5.10 to v7.2 have.
 */
static const struct {
	const char *option, *symbol, *type, *member;
} rows[] = {
	{ "CONFIG_AIO", "exit_aio", "mm_struct", "ioctx_table" },
	{ "CONFIG_AUDIT", "audit_log_start", "task_struct", "loginuid" },
	{ "CONFIG_AUDITSYSCALL", "__audit_syscall_exit", NULL, NULL },
	{ "CONFIG_BPF_SYSCALL", "bpf_prog_new_fd", NULL, NULL },
	{ "CONFIG_BSD_PROCESS_ACCT", "acct_process", NULL, NULL },
	{ "CONFIG_CGROUPS", "cgroup_attach_task", "task_struct", "cgroups" },
	{ "CONFIG_CGROUP_SCHED", "sched_create_group", "task_struct", "sched_task_group" },
	{ "CONFIG_COMPAT", "compat_ptrace_request", NULL, NULL },
	{ "CONFIG_CPUSETS", NULL, "task_struct", "mems_allowed" },
	{ "CONFIG_DEBUG_INFO_BTF", "__start_BTF", NULL, NULL },
	{ "CONFIG_EPOLL", "eventpoll_release_file", NULL, NULL },
	{ "CONFIG_FUNCTION_GRAPH_TRACER", NULL, "task_struct", "curr_ret_stack" },
	{ "CONFIG_FUNCTION_TRACER", "register_ftrace_function", NULL, NULL },
	{ "CONFIG_FUTEX", "do_futex", "task_struct", "robust_list" },
	{ "CONFIG_HIBERNATION", "hibernate", NULL, NULL },
	{ "CONFIG_IKCONFIG", "kernel_config_data", NULL, NULL },
	{ "CONFIG_INET", "tcp_v4_connect", NULL, NULL },
	{ "CONFIG_IPC_NS", "copy_ipcs", NULL, NULL },
	{ "CONFIG_IPV6", "ipv6_rcv", NULL, NULL },
	{ "CONFIG_KALLSYMS", "kallsyms_lookup_name", NULL, NULL },
	{ "CONFIG_KASAN", "kasan_report", NULL, NULL },
	{ "CONFIG_KEXEC_CORE", "kimage_alloc_control_pages", NULL, NULL },
	{ "CONFIG_KEYS", "lookup_user_key", NULL, NULL },
	{ "CONFIG_KPROBES", "register_kprobe", NULL, NULL },
	{ "CONFIG_KSM", "__ksm_enter", NULL, NULL },
	{ "CONFIG_KVM_GUEST", "kvm_guest_init", NULL, NULL },
	{ "CONFIG_LIVEPATCH", "klp_enable_patch", "task_struct", "patch_state" },
	{ "CONFIG_LOCKDEP", NULL, "task_struct", "lockdep_depth" },
	{ "CONFIG_MEMCG", "mem_cgroup_from_task", NULL, NULL },
	{ "CONFIG_MODULES", "find_module", NULL, NULL },
	{ "CONFIG_MODULE_UNLOAD", "module_refcount", NULL, NULL },
	{ "CONFIG_NETFILTER", "nf_hook_slow", NULL, NULL },
	{ "CONFIG_NET_NS", "copy_net_ns", NULL, NULL },
	{ "CONFIG_NUMA", "__mpol_dup", "task_struct", "mempolicy" },
	{ "CONFIG_NUMA_BALANCING", "task_numa_fault", "task_struct", "numa_faults" },
	{ "CONFIG_PERF_EVENTS", "perf_event_create_kernel_counter", "task_struct",
	  "perf_event_ctxp" },
	{ "CONFIG_PID_NS", "copy_pid_ns", NULL, NULL },
	{ "CONFIG_SECCOMP", "__secure_computing", NULL, NULL },
	{ "CONFIG_SECURITY", "security_bprm_check", NULL, NULL },
	{ "CONFIG_SECURITY_APPARMOR", "aa_label_merge", NULL, NULL },
	{ "CONFIG_SECURITY_SELINUX", "avc_has_perm", NULL, NULL },
	{ "CONFIG_SECURITY_TOMOYO", "tomoyo_supervisor", NULL, NULL },
	{ "CONFIG_SMP", "smp_call_function_many", NULL, NULL },
	{ "CONFIG_STACKPROTECTOR", NULL, "task_struct", "stack_canary" },
	{ "CONFIG_SUSPEND", "pm_suspend", NULL, NULL },
	{ "CONFIG_SWAP", "add_swap_extent", NULL, NULL },
	{ "CONFIG_TASKSTATS", "taskstats_exit", NULL, NULL },
	{ "CONFIG_TASK_DELAY_ACCT", NULL, "task_struct", "delays" },
	{ "CONFIG_TASK_XACCT", "acct_update_integrals", "task_struct", "acct_rss_mem1" },
	{ "CONFIG_TRANSPARENT_HUGEPAGE", "do_huge_pmd_anonymous_page", NULL, NULL },
	{ "CONFIG_UPROBES", "uprobe_mmap", "task_struct", "utask" },
	{ "CONFIG_USER_NS", "create_user_ns", NULL, NULL },
	{ "CONFIG_UTS_NS", "copy_utsname", NULL, NULL },
	{ "CONFIG_VMAP_STACK", NULL, "task_struct", "stack_vm_area" },
};
_Static_assert(sizeof(rows) / sizeof(*rows) <= CONFIG_FACT_LIMIT,
	       "more facts than there is room for");

static bool has_member(const struct kioku_kernel *kernel, const char *type, const char *member)
{
	struct type_place place;
	char name[64];

	snprintf(name, sizeof(name), "struct %s", type);
	/* What was inferred is what was looked for. */
	return kernel->types && !kernel->types_are_inferred &&
	       types_find_place(kernel->types, name, member, &place);
}

size_t config_facts_find(const struct kioku_kernel *kernel, struct arena *arena,
			 struct config_fact out[CONFIG_FACT_LIMIT])
{
	size_t count = 0;

	/* Symbols and types of another kernel tell nothing of this one. */
	if (kernel->forced)
		return 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		bool by_symbol = rows[i].symbol && kernel_symbol(kernel, rows[i].symbol);
		bool by_member = rows[i].member && has_member(kernel, rows[i].type, rows[i].member);
		const char *evidence = NULL;
		if (by_symbol && by_member)
			evidence = arena_format(arena, "symbol %s, member %s.%s", rows[i].symbol,
						rows[i].type, rows[i].member);
		else if (by_symbol)
			evidence = arena_format(arena, "symbol %s", rows[i].symbol);
		else if (by_member)
			evidence =
				arena_format(arena, "member %s.%s", rows[i].type, rows[i].member);
		if (evidence)
			out[count++] = (struct config_fact){ rows[i].option, evidence };
	}
	return count;
}
