/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "route_list.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static const struct rtattr *attribute(const struct rtattr *at, int size, unsigned short type)
{
	for (; RTA_OK(at, size); at = RTA_NEXT(at, size))
		if ((at->rta_type & NLA_TYPE_MASK) == type)
			return at;
	return NULL;
}

static const void *find(const struct rtattr *at, int size, unsigned short type)
{
	const struct rtattr *found = attribute(at, size, type);

	return found ? RTA_DATA(found) : NULL;
}

static unsigned number(const struct rtattr *at, int size, unsigned short type)
{
	const unsigned *found = find(at, size, type);

	return found ? *found : 0;
}

static void print_address(FILE *out, const char *name, int family, const void *address)
{
	char text[INET6_ADDRSTRLEN] = "-";

	if (address)
		inet_ntop(family, address, text, sizeof text);
	fprintf(out, " %s %s", name, text);
}

/* Of a route with one next hop the attributes are the route's own. */
static void print_hop(FILE *out, int family, const struct rtattr *at, int size)
{
	/* struct rtvia: the family, then the address. */
	const char *via = find(at, size, RTA_VIA);
	unsigned short via_family = via ? *(const unsigned short *)(const void *)via : 0;

	if (via)
		print_address(out, "via", via_family, via + 2);
	else
		print_address(out, "via", family, find(at, size, RTA_GATEWAY));
}

/* What all next hops of a route share. */
static void print_common(FILE *out, const struct rtmsg *route, const struct rtattr *at, int size)
{
	static const char any[16];
	const void *destination = find(at, size, RTA_DST), *source = find(at, size, RTA_SRC);
	int family = route->rtm_family;

	fprintf(out, "family %d table %u", family, number(at, size, RTA_TABLE));
	print_address(out, "to", family, destination ? destination : any);
	fprintf(out, " prefix %u", route->rtm_dst_len);
	print_address(out, "from", family, source ? source : any);
	fprintf(out, " from_prefix %u type %u protocol %u scope %u tos %u metric %u object %u",
		route->rtm_src_len, route->rtm_type, route->rtm_protocol, route->rtm_scope,
		route->rtm_tos, number(at, size, RTA_PRIORITY), number(at, size, RTA_NH_ID));
	print_address(out, "source", family, find(at, size, RTA_PREFSRC));
}

static void print_route(FILE *out, const struct nlmsghdr *header)
{
	const struct rtmsg *route = NLMSG_DATA(header);
	const struct rtattr *at = RTM_RTA(route);
	int size = (int)RTM_PAYLOAD(header);
	const struct rtattr *multipath = attribute(at, size, RTA_MULTIPATH);

	/* What was learned on the way is no route of a table. */
	if (route->rtm_flags & RTM_F_CLONED)
		return;
	if (!multipath) {
		print_common(out, route, at, size);
		fprintf(out, " interface %u flags %u weight 1", number(at, size, RTA_OIF),
			route->rtm_flags & 0xff);
		print_hop(out, route->rtm_family, at, size);
		fprintf(out, "\n");
		return;
	}
	int left = (int)RTA_PAYLOAD(multipath);
	const struct rtnexthop *hop = RTA_DATA(multipath);
	for (; RTNH_OK(hop, left); left -= RTNH_ALIGN(hop->rtnh_len), hop = RTNH_NEXT(hop)) {
		print_common(out, route, at, size);
		fprintf(out, " interface %d flags %u weight %u", hop->rtnh_ifindex, hop->rtnh_flags,
			hop->rtnh_hops + 1);
		print_hop(out, route->rtm_family, RTNH_DATA(hop), hop->rtnh_len - (int)sizeof *hop);
		fprintf(out, "\n");
	}
}

static void list_family(FILE *out, unsigned char family)
{
	struct {
		struct nlmsghdr header;
		struct rtmsg message;
	} request = { { sizeof request, RTM_GETROUTE, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 },
		      { .rtm_family = family } };
	static char buffer[65536] __attribute__((aligned(8)));
	int file = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), is_done = 0;

	(void)!send(file, &request, sizeof request, 0);
	while (!is_done) {
		int size = (int)recv(file, buffer, sizeof buffer, 0);
		const struct nlmsghdr *header = (const void *)buffer;
		is_done = size <= 0;
		for (; NLMSG_OK(header, (unsigned)size); header = NLMSG_NEXT(header, size)) {
			if (header->nlmsg_type == RTM_NEWROUTE)
				print_route(out, header);
			else
				is_done = 1;
		}
	}
	close(file);
}

void list_routes(FILE *out)
{
	list_family(out, AF_INET);
	list_family(out, AF_INET6);
}
