/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files and sockets that stay open. /lab is a tmpfs; the agent copies what lies in it. */
#define _GNU_SOURCE
#include "activity.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* A text file whose lines name it, so that a recovered one can be told from any other. */
static int lines(const char *path, int count)
{
	int file = open(path, O_RDWR | O_CREAT, 0640);
	need(file >= 0, path);
	for (int i = 0; i < count; i++)
		dprintf(file, "kioku-tmpfs %s line %06d\n", path, i);
	return file;
}

void hold_files(void)
{
	need(!mkdir("/lab/folder", 0750) && !mkdir("/lab/folder/inner", 0700), "mkdir");
	lines("/lab/notes.txt", 3);
	close(lines("/lab/folder/closed.log", 500));
	lines("/lab/folder/inner/large.log", 20000); /* several levels of the page cache's tree */
	lines("/lab/folder/inner/\033[1mna\nme\xff", 10);

	int sparse = lines("/lab/sparse.bin", 1);
	lseek(sparse, 3 << 20, SEEK_SET);
	need(write(sparse, "end", 3) == 3, "sparse");

	lines("/lab/unlinked.txt", 100);
	need(!unlink("/lab/unlinked.txt"), "unlink");
	need(!symlink("folder/closed.log", "/lab/link"), "symlink");

	int ends[2];
	need(!pipe(ends) && write(ends[1], "kioku-pipe", 10) == 10, "pipe");
}

static int bound(int family, int type, const void *address, socklen_t size)
{
	int file = socket(family, type, 0);
	if (file < 0 || bind(file, address, size)) {
		/* A kernel may lack IPv6; nothing else may fail. */
		need(family == AF_INET6, "bind");
		return -1;
	}
	return file;
}

static void hold_internet_sockets(void)
{
	struct sockaddr_in here = { .sin_family = AF_INET,
				    .sin_port = htons(4000),
				    .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = bound(AF_INET, SOCK_STREAM, &here, sizeof here);
	need(!listen(listener, 5), "listen");
	int client = socket(AF_INET, SOCK_STREAM, 0);
	need(!connect(client, (struct sockaddr *)&here, sizeof here), "connect");
	int server = accept(listener, NULL, NULL);
	/* Left unread, so that both queues are known. */
	need(write(server, "kioku-unread", 12) == 12, "write");

	here.sin_port = htons(4001);
	bound(AF_INET, SOCK_DGRAM, &here, sizeof here);
	here.sin_port = htons(4002);
	int datagram = socket(AF_INET, SOCK_DGRAM, 0);
	need(!connect(datagram, (struct sockaddr *)&here, sizeof here),
	     "connect a datagram socket");

	struct sockaddr_in6 six = { .sin6_family = AF_INET6,
				    .sin6_port = htons(4006),
				    .sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int six_listener = bound(AF_INET6, SOCK_STREAM, &six, sizeof six);
	if (six_listener >= 0)
		listen(six_listener, 5);
	six.sin6_addr = (struct in6_addr)IN6ADDR_ANY_INIT;
	bound(AF_INET6, SOCK_DGRAM, &six, sizeof six);
	int raw = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	need(raw >= 0, "raw socket");
}

void hold_sockets(void)
{
	if (offers("/proc/net/tcp"))
		hold_internet_sockets();
	struct sockaddr_un path = { .sun_family = AF_UNIX, .sun_path = "/lab/socket" };
	int local = bound(AF_UNIX, SOCK_STREAM, &path, sizeof path);
	need(!listen(local, 5), "listen");
	int peer = socket(AF_UNIX, SOCK_STREAM, 0);
	need(!connect(peer, (struct sockaddr *)&path, sizeof path), "connect to /lab/socket");
	need(accept(local, NULL, NULL) >= 0, "accept");

	struct sockaddr_un abstract = { .sun_family = AF_UNIX, .sun_path = "\0kioku-abstract" };
	bound(AF_UNIX, SOCK_DGRAM, &abstract, offsetof(struct sockaddr_un, sun_path) + 15);

	int pair[2];
	need(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), "socketpair");
	/* Sniffing is what a packet socket in an image usually means; its module may be absent. */
	socket(AF_PACKET, SOCK_RAW, htons(0x0003));
}
