/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A network namespace of its own, with an interface, addresses, a neighbour, and sockets in it. */
#define _GNU_SOURCE
#include "activity.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <net/if_arp.h>
#include <linux/if_packet.h>
#include <linux/netlink.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){ .sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

/* A connection whose ends are both closed: for a minute, only TCP's table has it. */
static void leave_time_wait(void)
{
	struct sockaddr_in here = loopback(4020);
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	int client = socket(AF_INET, SOCK_STREAM, 0);
	char byte;

	need(!bind(listener, (struct sockaddr *)&here, sizeof here) && !listen(listener, 5),
	     "listen");
	need(!connect(client, (struct sockaddr *)&here, sizeof here), "connect");
	int server = accept(listener, NULL, NULL);
	close(client);
	need(read(server, &byte, 1) == 0, "the end of a connection");
	close(server);
	close(listener);
}

static void hold_filtered(void)
{
	struct sock_filter code = { BPF_RET | BPF_K, 0, 0, 0xffff };
	struct sock_fprog program = { 1, &code };
	struct sockaddr_in here = loopback(4001);
	int file = socket(AF_INET, SOCK_DGRAM, 0);

	need(!bind(file, (struct sockaddr *)&here, sizeof here), "bind");
	need(!setsockopt(file, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program), "filter");
}

/* busybox has no way to say so. */
static void add_neighbour(void)
{
	struct arpreq request = { .arp_flags = ATF_PERM | ATF_COM, .arp_dev = "kioku0" };
	struct sockaddr_in who = { .sin_family = AF_INET };
	int file = socket(AF_INET, SOCK_DGRAM, 0);

	inet_pton(AF_INET, "192.0.2.9", &who.sin_addr);
	memcpy(&request.arp_pa, &who, sizeof who);
	memcpy(request.arp_ha.sa_data, "\2\0\0\0\0\11", 6);
	(void)ioctl(file, SIOCSARP, &request);
	close(file);
}

static unsigned long inode_of(int file)
{
	struct stat status;

	need(!fstat(file, &status), "fstat");
	return status.st_ino;
}

/* One that was never bound, and that nobody has open while it waits to be received. */
static void send_socket(void)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { .header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct iovec text = { "x", 1 };
	struct msghdr message = { .msg_iov = &text,
				  .msg_iovlen = 1,
				  .msg_control = &control,
				  .msg_controllen = sizeof control };
	int file = socket(AF_INET, SOCK_STREAM, 0), pair[2];

	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "socketpair");
	memcpy(CMSG_DATA(&control.header), &file, sizeof file);
	need(sendmsg(pair[0], &message, 0) == 1, "sendmsg");
	record("sockets", "sent %lu\n", inode_of(file));
	close(file);
}

/* What is left of this must not be taken for a socket. */
static void close_sockets(void)
{
	int families[] = { AF_INET, AF_INET6, AF_UNIX };

	for (int i = 0; i < 6; i++) {
		int file = socket(families[i % 3], i < 3 ? SOCK_STREAM : SOCK_DGRAM, 0);
		record("sockets", "closed%d %lu\n", i, inode_of(file));
		close(file);
	}
}

void hold_network(void)
{
	struct sockaddr_nl all = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	struct sockaddr_in here = loopback(4000); /* as another one in the first namespace */

	leave_time_wait();
	need(!unshare(CLONE_NEWNET), "unshare");
	/* What a kernel of these cannot do is missing from its truth as well. */
	(void)!system("ip link set lo up; ip link add kioku0 type dummy;"
		      "ip link set kioku0 up; ip addr add 192.0.2.7/24 dev kioku0;"
		      "ip addr add 192.0.2.8/24 dev kioku0; ip addr add 2001:db8::7/64 dev kioku0");
	add_routes();
	add_filters();
	add_neighbour();
	int listener = socket(AF_INET, SOCK_STREAM, 0);
	need(!bind(listener, (struct sockaddr *)&here, sizeof here) && !listen(listener, 5),
	     "listen");
	hold_filtered();
	send_socket();
	close_sockets();
	int routes = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	need(!bind(routes, (struct sockaddr *)&all, sizeof all), "netlink");
	need(socket(AF_UNIX, SOCK_STREAM, 0) >= 0, "a UNIX socket without a name");
	socket(AF_PACKET, SOCK_DGRAM, htons(0x0800));
}
