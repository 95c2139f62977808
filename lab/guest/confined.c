/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What confines a process: capabilities, seccomp, namespaces, cgroups. */
#define _GNU_SOURCE
#include "activity.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80 /* Linux v5.6 */
#endif

static void set_capabilities(unsigned effective, unsigned permitted, unsigned inheritable)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { effective, permitted, inheritable } };

	need(!syscall(SYS_capset, &header, data), "capset");
}

/* Every one of the five sets is another one. */
static void limit_capabilities(void)
{
	const unsigned raw = 1u << CAP_NET_RAW, bind = 1u << CAP_NET_BIND_SERVICE,
		       kill = 1u << CAP_KILL, chown = 1u << CAP_CHOWN;

	need(!prctl(PR_CAPBSET_DROP, CAP_SYS_MODULE) && !prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT),
	     "bounding set");
	set_capabilities(raw | bind, raw | bind | kill, raw | bind | kill | chown);
	need(!prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0), "ambient set");
}

static void filter_calls(void)
{
	struct sock_filter allow[] = { BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog program = { 1, allow };

	need(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
	need(!prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), "seccomp");
}

void hold_capabilities(void)
{
	static const gid_t groups[] = { 4, 24, 27, 1001, 70000 };

	need(!setgroups(sizeof groups / sizeof *groups, groups), "setgroups");
	limit_capabilities();
	filter_calls();
}

/* May make no call but read, write and exit. */
void hold_strictly(void)
{
	char byte;
	int ends[2];

	need(!pipe(ends), "pipe");
	ready();
	prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
	for (;;)
		(void)!read(ends[0], &byte, 1);
}

static void join(const char *type, const char *options, const char *above, const char *below)
{
	char path[128];

	need(!mount("cgroup", "/tmp", type, 0, options), type);
	snprintf(path, sizeof path, "/tmp/%s", above);
	need(!mkdir(path, 0755) || errno == EEXIST, path);
	snprintf(path, sizeof path, "/tmp/%s/%s", above, below);
	need(!mkdir(path, 0755), path);
	strcat(path, "/cgroup.procs");
	int file = open(path, O_WRONLY | O_CLOEXEC);
	need(file >= 0 && write(file, "0", 1) == 1, path);
	close(file);
}

/* Whether a controller can be in a hierarchy of its own: proc_cgroupstats_show(). */
static int has_controller(const char *name)
{
	char line[128];
	size_t length = strlen(name);
	int found = 0;
	FILE *controllers = fopen("/proc/cgroups", "r");

	while (controllers && fgets(line, sizeof line, controllers))
		found |= !strncmp(line, name, length) && line[length] == '\t';
	if (controllers)
		fclose(controllers);
	return found;
}

/* In both kinds of hierarchies, in a mount namespace of its own, so that nobody else sees them mounted. */
void hold_cgroups(void)
{
	need(!unshare(CLONE_NEWNS), "unshare");
	need(!mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private mounts");
	join("cgroup2", NULL, "kioku.slice", "inner and outer");
	join("cgroup", "none,name=kioku", "one", "two");
	if (has_controller("freezer"))
		join("cgroup", "freezer", "frozen", "not");
}

/* Of every kind but user; those of time are entered by the next process. */
void hold_namespaces(void)
{
	need(!unshare(namespaces_of(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET |
				    CLONE_NEWCGROUP)),
	     "unshare");
	(void)!unshare(CLONE_NEWTIME);
}

void hold_user_namespace(void)
{
	need(!unshare(CLONE_NEWUSER), "user namespace");
}
