/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors of every kind, and mounts that only their process has. */
#define _GNU_SOURCE
#include "activity.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

static int opened(const char *path, int flags)
{
	int file = open(path, flags, 0640);

	need(file >= 0, path);
	return file;
}

/* --- files whose names are not what they were */

static void hold_names(void)
{
	char longest[256 + 16] = "/lab/open/";

	need(!mkdir("/lab/open", 0755), "mkdir");
	memset(longest + strlen(longest), 'n', 255);
	opened(longest, O_RDWR | O_CREAT);
	opened("/lab/open/looks (deleted)", O_RDWR | O_CREAT);
	opened("/lab/open", O_RDONLY | O_DIRECTORY);

	need(!mkdir("/lab/open/before", 0755), "mkdir");
	int renamed = opened("/lab/open/before/file", O_RDWR | O_CREAT | O_APPEND);
	need(write(renamed, "0123456789", 10) == 10 && lseek(renamed, 4, SEEK_SET) == 4, "write");
	need(!rename("/lab/open/before", "/lab/open/after"), "rename");

	/* Its folder goes, too: only the file itself is deleted to d_path(). */
	need(!mkdir("/lab/open/lost", 0755), "mkdir");
	opened("/lab/open/lost/file", O_RDWR | O_CREAT);
	need(!unlink("/lab/open/lost/file") && !rmdir("/lab/open/lost"), "rmdir");
	opened("/lab/open", O_RDWR | O_TMPFILE);

	need(!symlink("after/file", "/lab/open/link"), "symlink");
	opened("/lab/open/link", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	need(!mkfifo("/lab/open/fifo", 0600), "mkfifo");
	opened("/lab/open/fifo", O_RDWR | O_NONBLOCK);
	need(!mkdir("/lab/open/cwd", 0755) && !chdir("/lab/open/cwd") && !rmdir("/lab/open/cwd"),
	     "leave a folder that is gone");
}

/* --- what has no name at all */

static void hold_nameless(void)
{
	static const char *const namespaces[] = { "/proc/self/ns/net",
						  "/proc/self/ns/pid_for_children" };
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	int event = eventfd(7, EFD_CLOEXEC), poll = epoll_create1(0);
	need(event >= 0 && poll >= 0, "eventfd, epoll");
	struct epoll_event interest = { .events = EPOLLIN };
	need(!epoll_ctl(poll, EPOLL_CTL_ADD, event, &interest), "epoll");
	need(inotify_init1(IN_NONBLOCK) >= 0, "inotify");
	need(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC) >= 0, "timerfd");
	need(signalfd(-1, &signals, 0) >= 0, "signalfd");
	int secret = memfd_create("odd/name with blanks", MFD_CLOEXEC);
	need(secret >= 0 && !ftruncate(secret, 12345), "memfd");
	syscall(SYS_pidfd_open, getpid(), 0); /* since v5.3 */
	for (int i = 0; i < 2; i++)
		if (offers(namespaces[i]))
			opened(namespaces[i], O_RDONLY);
	opened("/proc/self/status", O_RDONLY);
	opened("/dev/null", O_WRONLY);
	int ends[2];
	need(!pipe2(ends, O_CLOEXEC | O_NONBLOCK), "pipe2");
}

static void hold_more_sockets(void)
{
	struct sockaddr_in6 six = { .sin6_family = AF_INET6,
				    .sin6_port = htons(4010),
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int listener = socket(AF_INET6, SOCK_STREAM, 0);
	if (listener >= 0 && !bind(listener, (struct sockaddr *)&six, sizeof six)) {
		int client = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
		need(!listen(listener, 5) && !connect(client, (struct sockaddr *)&six, sizeof six),
		     "connect to ::1");
		need(accept(listener, NULL, NULL) >= 0, "accept");
	}
	struct sockaddr_un abstract = { .sun_family = AF_UNIX, .sun_path = "\0kioku\0stream" };
	socklen_t size = offsetof(struct sockaddr_un, sun_path) + 13;
	int local = socket(AF_UNIX, SOCK_STREAM, 0), peer = socket(AF_UNIX, SOCK_STREAM, 0);
	need(!bind(local, (struct sockaddr *)&abstract, size) && !listen(local, 5), "abstract");
	need(!connect(peer, (struct sockaddr *)&abstract, size), "connect to an abstract name");

	struct sockaddr_nl all = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int routes = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	need(!bind(routes, (struct sockaddr *)&all, sizeof all), "netlink");
	need(socket(AF_NETLINK, SOCK_DGRAM, NETLINK_KOBJECT_UEVENT) >= 0, "netlink");
	socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
	if (offers("/proc/net/tcp"))
		need(socket(AF_INET, SOCK_STREAM, 0) >= 0, "a socket that is not bound");
}

/* A table of its own: what this thread has open is in no list of its process. */
static void *own_table(void *unused)
{
	(void)unused;
	need(!unshare(CLONE_FILES), "unshare");
	need(dup2(opened("/lab/open/after/file", O_RDONLY), 200) == 200, "dup2");
	rest();
}

void hold_descriptors(void)
{
	pthread_attr_t small;
	pthread_t thread;

	hold_names();
	hold_nameless();
	hold_more_sockets();
	/* More than fit the first table, and more than a page of pointers. */
	need(dup2(0, 63) == 63 && dup2(0, 64) == 64 && dup2(0, 700) == 700, "dup2");
	pthread_attr_init(&small);
	pthread_attr_setstacksize(&small, 64 << 10);
	need(!pthread_create(&thread, &small, own_table, NULL), "thread");
	usleep(100000);
}

/* --- mounts */

static void mounted(const char *source, const char *target, const char *type, unsigned long flags,
		    const char *options)
{
	need(!mount(source, target, type, flags, options), target);
}

/* Deeper than one page can tell, and names that need care when they are shown. */
static void hold_depth(void)
{
	char name[101];

	memset(name, 'd', 100);
	name[100] = '\0';
	opened("/mnt/inner/a\\040b \n\033[1m", O_RDWR | O_CREAT);
	need(!chdir("/mnt/inner"), "chdir");
	for (int depth = 0; depth < 30; depth++)
		need(!mkdir(name, 0755) && !chdir(name), "a deep folder");
	opened("deep", O_RDWR | O_CREAT);
	need(!chdir("/"), "chdir");
}

void hold_mounts(void)
{
	need(!unshare(CLONE_NEWNS), "unshare");
	mkdir("/mnt", 0755);
	mounted("outer", "/mnt", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		"size=1m,nr_inodes=900,mode=751,uid=5,gid=6");
	need(!mkdir("/mnt/inner", 0755) && !mkdir("/mnt/bound here", 0755) &&
		     !mkdir("/mnt/lazy", 0755) && !mkdir("/mnt/sub", 0755) &&
		     !mkdir("/mnt/sub/part", 0755),
	     "mkdir");
	close(opened("/mnt/name", O_RDWR | O_CREAT));
	close(opened("/mnt/file", O_RDWR | O_CREAT));
	mounted("a source with blanks", "/mnt/inner", "tmpfs", MS_NOATIME | MS_SYNCHRONOUS, "");
	mounted("/mnt/sub/part", "/mnt/bound here", NULL, MS_BIND, NULL);
	mounted(NULL, "/mnt/bound here", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NODIRATIME,
		NULL);
	mounted("/mnt/file", "/mnt/name", NULL, MS_BIND, NULL);
	need(!unlink("/mnt/file"), "unlink what is bound elsewhere");
	mounted(NULL, "/mnt/name", NULL, MS_UNBINDABLE, NULL);
	close(opened("/mnt/ns", O_RDWR | O_CREAT));
	if (offers("/proc/self/ns/uts"))
		mounted("/proc/self/ns/uts", "/mnt/ns", NULL, MS_BIND, NULL);
	mounted("one", "/mnt/inner", "tmpfs", 0, "size=64k"); /* on top of the other */
	mounted(NULL, "/mnt/inner", NULL, MS_SHARED, NULL);
	opened("/mnt/bound here", O_RDONLY);
	opened("/mnt/name", O_RDONLY);
	opened("/mnt/ns", O_RDONLY);
	hold_depth();

	mounted("lazy", "/mnt/lazy", "tmpfs", 0, "");
	opened("/mnt/lazy/still open", O_RDWR | O_CREAT);
	need(!umount2("/mnt/lazy", MNT_DETACH), "umount");
}

/* As a container has it: what it calls "/" is not the namespace's. */
void hold_other_root(void)
{
	need(!unshare(CLONE_NEWNS), "unshare");
	mkdir("/mnt", 0755);
	mounted("jail", "/mnt", "tmpfs", 0, "");
	need(!mkdir("/mnt/jail", 0755) && !mkdir("/mnt/jail/proc", 0755) &&
		     !mkdir("/mnt/jail/dir", 0755),
	     "mkdir");
	mounted("proc", "/mnt/jail/proc", "proc", 0, NULL);
	opened("/mnt/outside", O_RDWR | O_CREAT);
	need(!chroot("/mnt/jail") && !chdir("/dir"), "chroot");
	opened("/dir/inside", O_RDWR | O_CREAT);
}
