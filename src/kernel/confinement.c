/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "kernel/confinement.h"

#include <string.h>

enum {
	GROUP_LIMIT = 65536,  /* NGROUPS_MAX */
	LEVEL_LIMIT = 32,     /* MAX_PID_NS_LEVEL */
	NO_NEW_PRIVILEGES = 1 /* 1 << PFA_NO_NEW_PRIVS, include/linux/sched.h */
};

/* A set of capabilities was two words until v6.3. */
static const struct member credentials_members[] = {
	MEMBER(struct credentials, uid, "uid"),
	MEMBER(struct credentials, euid, "euid"),
	MEMBER(struct credentials, suid, "suid"),
	MEMBER(struct credentials, fsuid, "fsuid"),
	MEMBER(struct credentials, gid, "gid"),
	MEMBER(struct credentials, egid, "egid"),
	MEMBER(struct credentials, sgid, "sgid"),
	MEMBER(struct credentials, fsgid, "fsgid"),
	MEMBER(struct credentials, inheritable, "cap_inheritable.val", "cap_inheritable.cap"),
	MEMBER(struct credentials, permitted, "cap_permitted.val", "cap_permitted.cap"),
	MEMBER(struct credentials, effective, "cap_effective.val", "cap_effective.cap"),
	MEMBER(struct credentials, bounding, "cap_bset.val", "cap_bset.cap"),
	MEMBER(struct credentials, ambient, "cap_ambient.val", "cap_ambient.cap"),
	MEMBER(struct credentials, groups, "group_info"),
	MEMBER(struct credentials, user_namespace, "user_ns"),
};
static const struct record credentials_record =
	RECORD(struct credentials, "cred", credentials_members);

struct groups {
	int32_t count;
};

static const struct member groups_members[] = { MEMBER(struct groups, count, "ngroups") };
static const struct record groups_record = RECORD(struct groups, "group_info", groups_members);

static const struct member confinement_members[] = {
	MEMBER(struct confinement, atomic_flags, "atomic_flags"),
	MEMBER(struct confinement, nsproxy, "nsproxy"),
	OPTIONAL(struct confinement, seccomp, "seccomp.mode"), /* CONFIG_SECCOMP */
};
static const struct record confinement_record =
	RECORD(struct confinement, "task_struct", confinement_members);

/* --- credentials */

enum kioku_status credentials_read(struct kioku_kernel *kernel, const struct task *task,
				   struct credentials *out)
{
	struct cred checked;

	TRY(task_read_cred(kernel, task, &checked));
	return record_read_at(kernel, &credentials_record, task->real_cred, out);
}

/* Where an array without a size starts, which has no member of a record. */
static enum kioku_status array_place(struct kioku_kernel *kernel, const char *type,
				     const char *name, uint64_t *out)
{
	struct kioku_member member;
	uint32_t id;

	TRY(kioku_types_find(kernel->types, type, &id, NULL));
	TRY(kioku_type_member(kernel->types, id, name, &member, NULL));
	*out = member.bit_offset / 8;
	return KIOKU_OK;
}

enum kioku_status credentials_groups(struct kioku_kernel *kernel, const struct credentials *of,
				     uint32_t **out, size_t *count)
{
	struct groups groups;
	uint64_t place;

	*out = NULL;
	*count = 0;
	TRY(record_read_at(kernel, &groups_record, of->groups, &groups));
	if (groups.count < 0 || groups.count > GROUP_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	if (groups.count == 0)
		return KIOKU_OK;
	TRY(array_place(kernel, "struct group_info", "gid", &place));
	AUTO_FREE uint32_t *found = calloc((size_t)groups.count, sizeof(*found));
	if (!found)
		return KIOKU_ERROR_NO_MEMORY;
	TRY(kernel_read(kernel, of->groups + place, found, (size_t)groups.count * sizeof(*found),
			NULL));
	for (int32_t i = 0; i < groups.count; i++)
		found[i] = load_le32(&found[i]);
	*out = TAKE(found);
	*count = (size_t)groups.count;
	return KIOKU_OK;
}

/* include/uapi/linux/capability.h, v5.9 to v7.0. */
const char *capability_name(unsigned number)
{
	static const char *const names[] = {
		"cap_chown",
		"cap_dac_override",
		"cap_dac_read_search",
		"cap_fowner",
		"cap_fsetid",
		"cap_kill",
		"cap_setgid",
		"cap_setuid",
		"cap_setpcap",
		"cap_linux_immutable",
		"cap_net_bind_service",
		"cap_net_broadcast",
		"cap_net_admin",
		"cap_net_raw",
		"cap_ipc_lock",
		"cap_ipc_owner",
		"cap_sys_module",
		"cap_sys_rawio",
		"cap_sys_chroot",
		"cap_sys_ptrace",
		"cap_sys_pacct",
		"cap_sys_admin",
		"cap_sys_boot",
		"cap_sys_nice",
		"cap_sys_resource",
		"cap_sys_time",
		"cap_sys_tty_config",
		"cap_mknod",
		"cap_lease",
		"cap_audit_write",
		"cap_audit_control",
		"cap_setfcap",
		"cap_mac_override",
		"cap_mac_admin",
		"cap_syslog",
		"cap_wake_alarm",
		"cap_block_suspend",
		"cap_audit_read",
		"cap_perfmon",
		"cap_bpf",
		"cap_checkpoint_restore",
	};

	return number < sizeof(names) / sizeof(*names) ? names[number] : NULL;
}

/* The first task of all has them all. */
uint64_t capabilities_known(struct kioku_kernel *kernel)
{
	struct credentials first;
	uint64_t address = kernel_symbol(kernel, "init_cred");

	if (!address || record_read_at(kernel, &credentials_record, address, &first) != KIOKU_OK ||
	    first.permitted == 0 || first.permitted & (first.permitted + 1))
		return 0;
	return first.permitted;
}

/* --- seccomp and the like */

enum kioku_status confinement_read(struct kioku_kernel *kernel, const struct task *task,
				   struct confinement *out, bool *has_seccomp)
{
	const struct binding *binding;

	*has_seccomp = false;
	TRY(record_bind(kernel, &confinement_record, &binding, NULL));
	*has_seccomp = BINDING_HAS(binding, struct confinement, seccomp);
	return record_read(kernel, binding, task->address, out, NULL);
}

bool confinement_no_new_privileges(const struct confinement *confinement)
{
	return confinement->atomic_flags & NO_NEW_PRIVILEGES;
}

/* --- namespaces */

struct number {
	uint32_t number;
};

struct pointer {
	uint64_t value;
};

#define NAMESPACE_RECORD(name, type)                                                  \
	static const struct member name##_members[] = { MEMBER(struct number, number, \
							       "ns.inum") };          \
	static const struct record name##_record = RECORD(struct number, type, name##_members)

#define PROXY_RECORD(name)                                                                    \
	static const struct member name##_pointer_members[] = { MEMBER(struct pointer, value, \
								       #name) };              \
	static const struct record name##_pointer_record =                                    \
		RECORD(struct pointer, "nsproxy", name##_pointer_members)

NAMESPACE_RECORD(mnt_number, "mnt_namespace");
NAMESPACE_RECORD(pid_number, "pid_namespace");
NAMESPACE_RECORD(net_number, "net");
NAMESPACE_RECORD(uts_number, "uts_namespace");
NAMESPACE_RECORD(ipc_number, "ipc_namespace");
NAMESPACE_RECORD(user_number, "user_namespace");
NAMESPACE_RECORD(cgroup_number, "cgroup_namespace");
NAMESPACE_RECORD(time_number, "time_namespace");

PROXY_RECORD(mnt_ns);
PROXY_RECORD(net_ns);
PROXY_RECORD(uts_ns);
PROXY_RECORD(ipc_ns);
PROXY_RECORD(cgroup_ns);
PROXY_RECORD(time_ns); /* v5.6 */

/* Of users it is in the credentials, of processes in the struct pid; all else is in struct nsproxy. */
static const struct {
	const struct record *number, *pointer;
} kinds[NAMESPACE_KINDS] = {
	[NAMESPACE_MNT] = { &mnt_number_record, &mnt_ns_pointer_record },
	[NAMESPACE_PID] = { &pid_number_record, NULL },
	[NAMESPACE_NET] = { &net_number_record, &net_ns_pointer_record },
	[NAMESPACE_UTS] = { &uts_number_record, &uts_ns_pointer_record },
	[NAMESPACE_IPC] = { &ipc_number_record, &ipc_ns_pointer_record },
	[NAMESPACE_USER] = { &user_number_record, NULL },
	[NAMESPACE_CGROUP] = { &cgroup_number_record, &cgroup_ns_pointer_record },
	[NAMESPACE_TIME] = { &time_number_record, &time_ns_pointer_record },
};

struct pid_level {
	uint32_t level;
};

static const struct member level_members[] = { MEMBER(struct pid_level, level, "level") };
static const struct record level_record = RECORD(struct pid_level, "pid", level_members);

static const struct member inner_members[] = { MEMBER(struct pointer, value, "ns") };
static const struct record inner_record = RECORD(struct pointer, "upid", inner_members);

/* The innermost one that it has a number in: task_active_pid_ns(), kernel/pid.c. */
static enum kioku_status pid_namespace_of(struct kioku_kernel *kernel, const struct task *task,
					  uint64_t *out)
{
	struct pid_level pid;
	struct pointer namespace;
	uint64_t place;
	uint32_t id;

	if (!task->thread_pid)
		return task->exit_state ? KIOKU_ERROR_NOT_FOUND : KIOKU_ERROR_UNSUPPORTED;
	TRY(record_read_at(kernel, &level_record, task->thread_pid, &pid));
	if (pid.level > LEVEL_LIMIT)
		return KIOKU_ERROR_CORRUPT;
	TRY(array_place(kernel, "struct pid", "numbers", &place));
	TRY(kioku_types_find(kernel->types, "struct upid", &id, NULL));
	place += pid.level * kioku_type_size(kernel->types, id);
	TRY(record_read_at(kernel, &inner_record, task->thread_pid + place, &namespace));
	*out = namespace.value;
	return KIOKU_OK;
}

enum kioku_status namespace_number(struct kioku_kernel *kernel, const struct task *task,
				   const struct confinement *confinement,
				   const struct credentials *credentials, enum namespace_kind kind,
				   uint32_t *out)
{
	struct number number;
	struct pointer pointer = { credentials->user_namespace };

	if (kind == NAMESPACE_PID) {
		TRY(pid_namespace_of(kernel, task, &pointer.value));
	} else if (kinds[kind].pointer) {
		if (!confinement->nsproxy)
			return KIOKU_ERROR_NOT_FOUND;
		TRY(record_read_at(kernel, kinds[kind].pointer, confinement->nsproxy, &pointer));
	}
	TRY(record_read_at(kernel, kinds[kind].number, pointer.value, &number));
	*out = number.number;
	return number.number ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}
