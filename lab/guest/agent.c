/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent: process 1 of the guest. Obeys one-line commands on a serial port:
 *
 *	ping		answers "pong"
 *	collect		writes what /proc says to the truth disk, as a tar archive; answers
 *			"collected BYTES"
 *	run COMMAND	runs a shell command; answers "ran STATUS"
 *	panic		answers "panicking", and panics
 *
 * It copies and does not interpret: what a field means is worked out on the host. To collect it
 * starts no process, so that collecting does not change what is collected.
 */
#define _GNU_SOURCE
#include "archive.h"
#include "hook_list.h"
#include "route_list.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

static const char *const machine_files[] = {
	"/proc/kallsyms",
	"/proc/modules",
	"/proc/iomem",
	"/proc/version",
	"/proc/cmdline",
	"/proc/stat",
	"/proc/uptime",
	"/proc/cpuinfo",
	"/proc/meminfo",
	"/proc/mounts",
	"/proc/interrupts",
	"/proc/softirqs",
	"/proc/self/mountinfo",
	"/proc/sys/kernel/random/boot_id",
	"/proc/sys/kernel/osrelease",
	"/proc/sys/kernel/hostname",
	"/sys/kernel/notes",
	"/sys/kernel/vmcoreinfo",
	"/proc/net/tcp",
	"/proc/net/tcp6",
	"/proc/net/udp",
	"/proc/net/udp6",
	"/proc/net/raw",
	"/proc/net/raw6",
	"/proc/net/icmp",
	"/proc/net/netlink",
	"/proc/net/unix",
	"/proc/net/packet",
	"/proc/net/dev",
	"/proc/net/if_inet6",
	"/proc/net/route",
	"/proc/net/ipv6_route",
	"/proc/net/arp",
	"/run/roles",
	"/run/areas",
	"/run/sockets",
};

/* "sched" shows the kernel's own 16 bytes of a name; "comm" adds to those of kernel threads. */
static const char *const thread_files[] = { "stat", "status", "comm", "sched", "stack", "wchan" };
static const char *const process_files[] = { "maps",      "smaps",  "cmdline", "environ", "limits",
					     "mountinfo", "mounts", "cgroup",  "timers" };
static const char *const process_links[] = { "exe",     "cwd",       "root",   "ns/pid",
					     "ns/mnt",  "ns/net",    "ns/uts", "ns/ipc",
					     "ns/user", "ns/cgroup", "ns/time" };
#define COUNT(array) (sizeof(array) / sizeof *(array))

static int is_number(const struct dirent *entry)
{
	return isdigit((unsigned char)entry->d_name[0]);
}

static int is_name(const struct dirent *entry)
{
	return strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
}

/* Calls `visit` for each entry of a folder, in alphabetical order. */
static void each(const char *folder, int (*select)(const struct dirent *),
		 void (*visit)(const char *path))
{
	struct dirent **entries;
	int count = scandir(folder, &entries, select, alphasort);

	for (int i = 0; i < count; i++) {
		char path[512];
		snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
		visit(path);
		free(entries[i]);
	}
	if (count >= 0)
		free(entries);
}

static void add_file_in(const char *folder, const char *name)
{
	char path[600];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	archive_file(path);
}

static void add_thread(const char *folder)
{
	char path[600];

	for (size_t i = 0; i < COUNT(thread_files); i++)
		add_file_in(folder, thread_files[i]);
	snprintf(path, sizeof path, "%s/fd", folder);
	each(path, is_number, archive_link);
	snprintf(path, sizeof path, "%s/fdinfo", folder);
	each(path, is_number, archive_file);
}

/* For each mapping: its first page's number, its count of pages, and an entry for each page. */
static void add_pagemap(const char *folder)
{
	char path[600], line[1024], *bytes = NULL;
	size_t size = 0;
	unsigned long start, end;

	snprintf(path, sizeof path, "%s/maps", folder);
	FILE *maps = fopen(path, "r");
	snprintf(path, sizeof path, "%s/pagemap", folder);
	int pagemap = open(path, O_RDONLY);
	FILE *entries = open_memstream(&bytes, &size);
	while (maps && fgets(line, sizeof line, maps)) {
		/* The last page of the lower half and all above it, [vsyscall], have no entry. */
		if (sscanf(line, "%lx-%lx", &start, &end) != 2 || end - start > 256 << 20 ||
		    start >> 63)
			continue;
		uint64_t span[2] = { start / 4096, (end - start) / 4096 };
		uint64_t *entry = calloc(span[1], sizeof *entry);
		pread(pagemap, entry, span[1] * sizeof *entry, (off_t)(span[0] * sizeof *entry));
		fwrite(span, sizeof span, 1, entries);
		fwrite(entry, sizeof *entry, span[1], entries);
		free(entry);
	}
	fclose(entries);
	if (size)
		archive_bytes(path, bytes, size);
	free(bytes);
	if (maps)
		fclose(maps);
	close(pagemap);
}

/* Interfaces of the namespace that we are in now, for which there is no file. */
static void add_interfaces(const char *path)
{
	struct ifaddrs *all = NULL;
	char host[INET6_ADDRSTRLEN], *bytes = NULL;
	size_t size = 0;
	FILE *lines = open_memstream(&bytes, &size);

	(void)getifaddrs(&all);
	for (struct ifaddrs *one = all; one; one = one->ifa_next) {
		int family = one->ifa_addr ? one->ifa_addr->sa_family : AF_UNSPEC;
		const struct sockaddr_ll *link = (const void *)one->ifa_addr;
		const uint8_t *mask = (const void *)one->ifa_netmask;
		int prefix = 0, length = family == AF_INET ? 4 : 16;
		if (family == AF_PACKET) {
			fprintf(lines, "link %s %d %#x %u ", one->ifa_name, link->sll_ifindex,
				one->ifa_flags, link->sll_hatype);
			for (int i = 0; i < link->sll_halen; i++)
				fprintf(lines, "%s%02x", i ? ":" : "", link->sll_addr[i]);
			fprintf(lines, "\n");
		} else if (family == AF_INET || family == AF_INET6) {
			/* struct sockaddr_in and sockaddr_in6: before the address, 4 or 8 bytes. */
			int start = family == AF_INET ? 4 : 8;
			inet_ntop(family, (const char *)one->ifa_addr + start, host, sizeof host);
			for (int i = 0; i < length; i++)
				prefix += __builtin_popcount(mask[start + i]);
			fprintf(lines, "address %s %s/%d\n", one->ifa_name, host, prefix);
		}
	}
	freeifaddrs(all);
	fclose(lines);
	archive_bytes(path, bytes, size);
	free(bytes);
}

/* What there is no file for either. */
static void add_list(const char *path, void (*list)(FILE *out))
{
	char *bytes = NULL;
	size_t size = 0;
	FILE *lines = open_memstream(&bytes, &size);

	list(lines);
	fclose(lines);
	archive_bytes(path, bytes, size);
	free(bytes);
}

/* Of a process in another network namespace than ours, what that has. */
static void add_network(const char *folder)
{
	static const char *const names[] = { "tcp",  "tcp6",     "udp",   "udp6",       "raw",
					     "raw6", "icmp",     "unix",  "packet",     "netlink",
					     "dev",  "if_inet6", "route", "ipv6_route", "arp" };
	char path[600], theirs[64] = "", ours[64] = "";

	snprintf(path, sizeof path, "%s/ns/net", folder);
	if (readlink(path, theirs, sizeof theirs - 1) < 0 ||
	    readlink("/proc/self/ns/net", ours, sizeof ours - 1) < 0 || !strcmp(theirs, ours))
		return;
	snprintf(path, sizeof path, "%s/net", folder);
	for (size_t i = 0; i < COUNT(names); i++)
		add_file_in(path, names[i]);
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof path, "%s/ns/net", folder);
	int there = open(path, O_RDONLY | O_CLOEXEC);
	if (setns(there, CLONE_NEWNET) == 0) {
		snprintf(path, sizeof path, "%s/net/interfaces", folder);
		add_interfaces(path);
		snprintf(path, sizeof path, "%s/net/routes", folder);
		add_list(path, list_routes);
		snprintf(path, sizeof path, "%s/net/hooks", folder);
		add_list(path, list_hooks);
	}
	(void)setns(home, CLONE_NEWNET);
	close(there);
	close(home);
}

static void add_process(const char *folder)
{
	char path[600];

	/* All threads first: the shorter the time, the closer to one moment. */
	snprintf(path, sizeof path, "%s/task", folder);
	each(path, is_number, add_thread);
	for (size_t i = 0; i < COUNT(process_files); i++)
		add_file_in(folder, process_files[i]);
	for (size_t i = 0; i < COUNT(process_links); i++) {
		snprintf(path, sizeof path, "%s/%s", folder, process_links[i]);
		archive_link(path);
	}
	add_pagemap(folder);
	add_network(folder);
}

static void add_tree(const char *path)
{
	struct stat status;

	if (lstat(path, &status))
		return;
	if (S_ISDIR(status.st_mode))
		each(path, is_name, add_tree);
	else if (S_ISREG(status.st_mode))
		archive_file(path);
	else if (S_ISLNK(status.st_mode))
		archive_link(path);
}

/* What sysfs says of those modules that are loaded, and not of what is built in. */
static void add_modules(void)
{
	static const char *const folders[] = { "parameters", "sections" };
	char line[4096], path[256];
	FILE *modules = fopen("/proc/modules", "r");

	while (modules && fgets(line, sizeof line, modules)) {
		for (size_t i = 0; i < COUNT(folders); i++) {
			snprintf(path, sizeof path, "/sys/module/%.*s/%s", (int)strcspn(line, " "),
				 line, folders[i]);
			add_tree(path);
		}
	}
	if (modules)
		fclose(modules);
}

static void add_affinity(const char *folder)
{
	add_file_in(folder, "smp_affinity_list");
	add_file_in(folder, "effective_affinity_list");
}

static void add_moment(void)
{
	char text[128];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	int length = snprintf(text, sizeof text, "%ld.%09ld %ld %ld\n", (long)now.tv_sec,
			      now.tv_nsec, sysconf(_SC_CLK_TCK), sysconf(_SC_NPROCESSORS_ONLN));
	archive_bytes("moment", text, (size_t)length);
}

static void add_log(void)
{
	int size = klogctl(10, NULL, 0); /* SYSLOG_ACTION_SIZE_BUFFER */
	char *log = malloc((size_t)size);

	size = klogctl(3, log, size); /* SYSLOG_ACTION_READ_ALL */
	if (size > 0)
		archive_bytes("dmesg", log, (size_t)size);
	free(log);
}

static unsigned long collect(const char *disk)
{
	archive_open(disk);
	add_moment();
	each("/proc", is_number, add_process);
	for (size_t i = 0; i < COUNT(machine_files); i++)
		archive_file(machine_files[i]);
	add_interfaces("/proc/net/interfaces");
	add_list("/proc/net/routes", list_routes);
	add_list("/proc/net/hooks", list_hooks);
	add_log();
	add_modules();
	add_tree("/sys/kernel/irq");
	each("/proc/irq", is_number, add_affinity);
	add_tree("/lab");
	archive_file("/proc/timer_list"); /* the last: it changes all the time */
	return archive_close();
}

static void panic(void)
{
	int trigger = open("/proc/sysrq-trigger", O_WRONLY);
	sleep(1); /* the answer is on its way */
	(void)!write(trigger, "c", 1);
}

int main(int count, char *arguments[])
{
	char line[4096];
	struct termios settings;

	if (count < 3)
		return 2;
	FILE *port = fopen(arguments[1], "r+");
	if (!port) {
		perror(arguments[1]);
		return 1;
	}
	tcgetattr(fileno(port), &settings);
	cfmakeraw(&settings);
	tcsetattr(fileno(port), TCSANOW, &settings);
	setvbuf(port, NULL, _IONBF, 0);
	fprintf(port, "ready\n");
	while (fgets(line, sizeof line, port)) {
		while (waitpid(-1, NULL, WNOHANG) > 0) {
			/* orphans that ended are ours to bury */
		}
		if (!strcmp(line, "ping\n")) {
			fprintf(port, "pong\n");
		} else if (!strcmp(line, "collect\n")) {
			fprintf(port, "collected %lu\n", collect(arguments[2]));
		} else if (!strncmp(line, "run ", 4)) {
			int status = system(line + 4);
			fprintf(port, "ran %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 255);
		} else if (!strcmp(line, "panic\n")) {
			fprintf(port, "panicking\n");
			panic();
		} else {
			fprintf(port, "unknown command\n");
		}
	}
	return 1;
}
