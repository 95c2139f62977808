/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "layout/probe.h"

#include <stdio.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/scan.h"

/*
 * Where the kernel has its structures, v4.18 to v7.0: what is not in a tree is passed over. Some of these come with
 * others in one version, and stand alone in another. The private ones are relative to the tree.
 */
static const char *const headers[] = {
	"linux/alarmtimer.h",
	"linux/blk_types.h",
	"linux/blkdev.h",
	"linux/bpf.h",
	"linux/bpf-cgroup.h",
	"linux/bpf_verifier.h",
	"linux/btf.h",
	"linux/cgroup.h",
	"linux/clocksource.h",
	"linux/cred.h",
	"linux/dcache.h",
	"linux/dma-buf.h",
	"linux/execmem.h",
	"linux/export.h",
	"linux/fdtable.h",
	"linux/filter.h",
	"linux/fs.h",
	"linux/fs_struct.h",
	"linux/ftrace.h",
	"linux/genhd.h",
	"linux/hrtimer.h",
	"linux/idr.h",
	"linux/igmp.h",
	"linux/inetdevice.h",
	"linux/input.h",
	"linux/interrupt.h",
	"linux/ioport.h",
	"linux/ipc_namespace.h",
	"linux/irq.h",
	"linux/irqdesc.h",
	"linux/jump_label.h",
	"linux/kernel_stat.h",
	"linux/kernfs.h",
	"linux/kobject.h",
	"linux/kprobes.h",
	"linux/kthread.h",
	"linux/list_bl.h",
	"linux/maple_tree.h",
	"linux/mm.h",
	"linux/mm_types.h",
	"linux/mnt_namespace.h",
	"linux/module.h",
	"linux/moduleparam.h",
	"linux/mount.h",
	"linux/net.h",
	"linux/netdevice.h",
	"linux/netfilter.h",
	"linux/notifier.h",
	"linux/nsproxy.h",
	"linux/ns_common.h",
	"linux/panic.h",
	"linux/path.h",
	"linux/pid.h",
	"linux/pid_namespace.h",
	"linux/posix-timers.h",
	"linux/proc_fs.h",
	"linux/proc_ns.h",
	"linux/radix-tree.h",
	"linux/rbtree.h",
	"linux/rhashtable.h",
	"linux/sched.h",
	"linux/sched/signal.h",
	"linux/sched/user.h",
	"linux/seq_file.h",
	"linux/shmem_fs.h",
	"linux/signal_types.h",
	"linux/static_call.h",
	"linux/swap.h",
	"linux/sysfs.h",
	"linux/sysrq.h",
	"linux/tcp.h",
	"linux/time_namespace.h",
	"linux/timekeeper_internal.h",
	"linux/timer.h",
	"linux/timerqueue.h",
	"linux/tty.h",
	"linux/tty_driver.h",
	"linux/tty_ldisc.h",
	"linux/udp.h",
	"linux/user_namespace.h",
	"linux/uts_namespace.h",
	"linux/utsname.h",
	"linux/workqueue.h",
	"linux/xarray.h",
	"linux/zpool.h",
	"net/af_unix.h",
	"net/addrconf.h",
	"net/if_inet6.h",
	"net/inet_hashtables.h",
	"net/ip6_fib.h",
	"net/ip_fib.h",
	"net/neighbour.h",
	"net/net_namespace.h",
	"net/nexthop.h",
	"net/ping.h",
	"net/raw.h",
	"net/sock.h",
	"net/tcp.h",
	"net/udp.h",
	"asm/alternative.h",
	"asm/cpu_entry_area.h",
	"asm/current.h",
	"asm/desc.h",
	"asm/fpu/types.h",
	"asm/nmi.h",
	"asm/orc_types.h",
	"asm/paravirt_types.h",
	"asm/processor.h",
	"asm/switch_to.h",
	"asm/unwind.h",
	"drivers/block/zram/zram_drv.h",
	"fs/mount.h",
	"fs/proc/internal.h",
	"kernel/printk/internal.h",
	"kernel/printk/printk_ringbuffer.h",
	"kernel/sched/sched.h",
	"kernel/time/timekeeping_internal.h",
	"mm/slab.h",
	"mm/swap.h",
	"mm/zpdesc.h",
	"net/ipv4/fib_lookup.h",
	"net/netlink/af_netlink.h",
	"net/packet/internal.h",
};

/*
 * Structures that are nobody else's; and what was, in older kernels. Without the option a kernel has none of them, and
 * the file may be none that compiles.
 */
static const struct {
	const char *path, *option;
} sources[] = {
	{ "arch/x86/kernel/nmi.c", NULL },
	{ "fs/timerfd.c", "CONFIG_TIMERFD" },
	{ "kernel/bpf/btf.c", "CONFIG_BPF_SYSCALL" },
	{ "kernel/bpf/core.c", NULL },
	{ "kernel/cgroup/cgroup-internal.h", "CONFIG_CGROUPS" },
	{ "kernel/kprobes.c", "CONFIG_KPROBES" },
	{ "kernel/module.c", "CONFIG_MODULES" },
	{ "kernel/module/internal.h", "CONFIG_MODULES" },
	{ "kernel/module/sysfs.c", "CONFIG_MODULES" },
	{ "kernel/module-internal.h", "CONFIG_MODULES" },
	{ "kernel/printk/printk.c", NULL },
	{ "kernel/time/sleep_timeout.c", NULL },
	{ "kernel/time/timekeeping.c", NULL },
	{ "kernel/time/timer.c", NULL },
	{ "kernel/trace/trace.h", "CONFIG_TRACING" },
	{ "mm/execmem.c", "CONFIG_EXECMEM" },
	{ "mm/z3fold.c", "CONFIG_Z3FOLD" },
	{ "mm/zpool.c", "CONFIG_ZPOOL" },
	{ "mm/zsmalloc.c", "CONFIG_ZSMALLOC" },
	{ "mm/zswap.c", "CONFIG_ZSWAP" },
	{ "net/ipv4/fib_trie.c", "CONFIG_INET" },
	{ "net/ipv4/ping.c", "CONFIG_INET" },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_there(const struct probe *probe, const char *path)
{
	char whole[4096];

	return snprintf(whole, sizeof(whole), "%s/%s", probe->source, path) < (int)sizeof(whole) &&
	       access(whole, R_OK) == 0;
}

static bool is_on(const struct config_text *config, const char *option)
{
	const struct config_line *line =
		option ? config_text_find(config, bytes_of_text(option)) : NULL;

	return !option || (line && (bytes_equal(line->value, SCAN_LITERAL("y")) ||
				    bytes_equal(line->value, SCAN_LITERAL("m"))));
}

void probe_begin(struct probe *probe, const char *source, const char *folder,
		 const struct config_text *config)
{
	*probe = (struct probe){ .source = source, .folder = folder, .count = 1 };
	probe->units[0] = (struct probe_unit){ .count = COUNT(headers) };
	for (size_t i = 0; i < COUNT(sources); i++)
		if (is_there(probe, sources[i].path) && is_on(config, sources[i].option))
			probe->units[probe->count++] =
				(struct probe_unit){ .first = i, .count = 1, .is_source = true };
}

void probe_object(size_t unit, char out[PROBE_NAME_SIZE])
{
	snprintf(out, PROBE_NAME_SIZE, "kioku_%zu.o", unit);
}

static FILE *create(const struct probe *probe, const char *name)
{
	char path[4096];

	if (snprintf(path, sizeof(path), "%s/%s", probe->folder, name) >= (int)sizeof(path))
		return NULL;
	return fopen(path, "we");
}

/*
 * All is compiled as a part of the kernel, not as the module that kbuild takes it for: of what a source would be
 * initialised by as a module, there can be only one, and some headers of the kernel's own will not be in a module.
 */
static void write_unit(FILE *file, const struct probe *probe, const struct probe_unit *unit)
{
	fputs("#undef MODULE\n#define KBUILD_MODFILE \"kioku\"\n", file);
	if (unit->is_source) {
		fprintf(file, "#include \"%s/%s\"\n", probe->source, probe_file(unit));
		return;
	}
	/* Not all of them include what they use. */
	fputs("#include <linux/mm.h>\n#include <linux/swap.h>\n", file);
	for (size_t i = 0; i < unit->count; i++)
		fprintf(file, "#if __has_include(\"%1$s\")\n#include \"%1$s\"\n#endif\n",
			headers[unit->first + i]);
}

static bool write_units(const struct probe *probe, FILE *kbuild, bool *any)
{
	bool good = true;

	for (size_t i = 0; i < probe->count && good; i++) {
		char name[PROBE_NAME_SIZE];
		if (probe->units[i].state != PROBE_WAITS)
			continue;
		*any = true;
		snprintf(name, sizeof(name), "kioku_%zu.c", i);
		FILE *file = create(probe, name);
		if (!file)
			return false;
		write_unit(file, probe, &probe->units[i]);
		good = !ferror(file);
		good &= fclose(file) == 0;
		/* What the kernel's own settings say of debug information would leave types out. */
		fprintf(kbuild,
			"obj-m += kioku_%1$zu.o\n"
			"CFLAGS_REMOVE_kioku_%1$zu.o := -femit-struct-debug-baseonly -gsplit-dwarf "
			"$(CC_FLAGS_LTO)\n",
			i);
	}
	return good;
}

enum kioku_status probe_write(const struct probe *probe, bool *any, struct kioku_error *error)
{
	FILE *kbuild = create(probe, "Kbuild");

	*any = false;
	if (!kbuild)
		return error_os(error, "cannot write %s/Kbuild", probe->folder);
	/* objtool has no business with them, and need not be built. */
	fprintf(kbuild,
		"OBJECT_FILES_NON_STANDARD := y\n"
		"ccflags-y := -I%s -w -g -gdwarf-4 -gz=none -fno-eliminate-unused-debug-types\n",
		probe->source);
	bool good = write_units(probe, kbuild, any) && !ferror(kbuild);
	good &= fclose(kbuild) == 0;
	return good ? KIOKU_OK : error_os(error, "cannot write to %s", probe->folder);
}

static bool has_object(const struct probe *probe, size_t unit)
{
	char path[4096], name[PROBE_NAME_SIZE];

	probe_object(unit, name);
	return snprintf(path, sizeof(path), "%s/%s", probe->folder, name) < (int)sizeof(path) &&
	       access(path, R_OK) == 0;
}

void probe_look(struct probe *probe)
{
	size_t count = probe->count;

	for (size_t i = 0; i < count; i++) {
		struct probe_unit *unit = &probe->units[i];
		if (unit->state != PROBE_WAITS)
			continue;
		unit->state = has_object(probe, i) ? PROBE_DONE : PROBE_FAILED;
		if (unit->state == PROBE_DONE || unit->count == 1 ||
		    probe->count == PROBE_UNIT_LIMIT)
			continue;
		struct probe_unit second = *unit;
		unit->count /= 2;
		unit->state = PROBE_WAITS;
		second.first += unit->count;
		second.count -= unit->count;
		second.state = PROBE_WAITS;
		probe->units[probe->count++] = second;
	}
}

const char *probe_file(const struct probe_unit *unit)
{
	return unit->is_source ? sources[unit->first].path : headers[unit->first];
}
