/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Routes of all kinds, in the network namespace that we are in; busybox has no words for some of them. */
#define _GNU_SOURCE
#include "activity.h"
#include "request.h"

#include <arpa/inet.h>
#include <linux/nexthop.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void add_number(struct request *request, unsigned short type, unsigned value)
{
	request_add(request, type, &value, sizeof value);
}

static void add_address(struct request *request, unsigned short type, const char *text)
{
	int family = strchr(text, ':') ? AF_INET6 : AF_INET;
	char address[16];

	inet_pton(family, text, address);
	request_add(request, type, address, family == AF_INET ? 4 : 16);
}

static struct request begin_route(unsigned char family, const char *destination,
				  unsigned char prefix)
{
	struct rtmsg message = { .rtm_family = family,
				 .rtm_dst_len = prefix,
				 .rtm_table = RT_TABLE_MAIN,
				 .rtm_protocol = RTPROT_STATIC,
				 .rtm_type = RTN_UNICAST };
	struct request request = request_begin(RTM_NEWROUTE, &message, sizeof message);

	add_address(&request, RTA_DST, destination);
	return request;
}

static struct request begin_next_hop(unsigned char family, unsigned id)
{
	struct nhmsg message = { .nh_family = family };
	struct request request = request_begin(RTM_NEWNEXTHOP, &message, sizeof message);

	add_number(&request, NHA_ID, id);
	return request;
}

/* What a kernel of these cannot do is missing from its truth as well. */
static void tell(const struct request *request)
{
	int file = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);

	(void)!send(file, request, request->header.nlmsg_len, 0);
	close(file);
}

/* By two gateways, the second of which has three times the share. */
static void add_multipath(void)
{
	static const char *const gateways[] = { "192.0.2.9", "192.0.2.10" };
	struct request request = begin_route(AF_INET, "203.0.113.0", 24);
	char hops[64];
	size_t size = 0;

	for (int i = 0; i < 2; i++) {
		struct rtnexthop hop = { .rtnh_len = sizeof hop + RTA_SPACE(4),
					 .rtnh_hops = (unsigned char)(2 * i),
					 .rtnh_ifindex = (int)if_nametoindex("kioku0") };
		struct rtattr gateway = { RTA_LENGTH(4), RTA_GATEWAY };
		memcpy(hops + size, &hop, sizeof hop);
		memcpy(hops + size + sizeof hop, &gateway, sizeof gateway);
		inet_pton(AF_INET, gateways[i], hops + size + sizeof hop + RTA_LENGTH(0));
		size += hop.rtnh_len;
	}
	request_add(&request, RTA_MULTIPATH, hops, size);
	tell(&request);
}

static void add_next_hop(unsigned id, const char *gateway)
{
	struct request request = begin_next_hop(strchr(gateway, ':') ? AF_INET6 : AF_INET, id);

	add_number(&request, NHA_OIF, if_nametoindex("kioku0"));
	add_address(&request, NHA_GATEWAY, gateway);
	tell(&request);
}

/* Next hops that are objects of their own (Linux 5.3): one, a group of two, and one that is none. */
static void add_objects(void)
{
	static const struct nexthop_grp group[] = { { .id = 1 }, { .id = 2, .weight = 4 } };
	static const struct {
		const char *destination;
		unsigned char prefix;
		unsigned object;
	} routes[] = { { "198.18.1.0", 24, 1 },
		       { "198.18.2.0", 24, 3 },
		       { "198.18.3.0", 24, 4 },
		       { "2001:db8:50::", 48, 5 },
		       { "198.18.4.0", 24, 5 } };

	add_next_hop(1, "192.0.2.9");
	add_next_hop(2, "192.0.2.10");
	add_next_hop(5, "2001:db8::9");
	struct request request = begin_next_hop(AF_UNSPEC, 3);
	request_add(&request, NHA_GROUP, group, sizeof group);
	tell(&request);
	request = begin_next_hop(AF_INET, 4);
	request_add(&request, NHA_BLACKHOLE, NULL, 0);
	tell(&request);
	for (size_t i = 0; i < sizeof routes / sizeof *routes; i++) {
		request = begin_route(strchr(routes[i].destination, ':') ? AF_INET6 : AF_INET,
				      routes[i].destination, routes[i].prefix);
		add_number(&request, RTA_NH_ID, routes[i].object);
		tell(&request);
	}
}

/* Needs an interface kioku0 that has addresses. With rules, main and local are apart. */
void add_routes(void)
{
	(void)!system(
		"ip route add 198.51.100.0/24 via 192.0.2.9;"
		"ip route add default via 192.0.2.9 metric 100;"
		"ip route add 198.51.100.128/25 dev kioku0 src 192.0.2.8 table 100;"
		"ip route add 198.51.100.7 via 192.0.2.9 table 1000;"
		"ip route add blackhole 203.0.113.128/25; ip route add prohibit 203.0.113.64/26;"
		"ip route add unreachable 203.0.113.32/27 metric 7;"
		"ip route add throw 203.0.113.16/28 table 100;"
		"ip rule add from 192.0.2.8 table 100;"
		"ip -6 route add 2001:db8:1::/48 via 2001:db8::9;"
		"ip -6 route add default via 2001:db8::9 metric 2000;"
		"ip -6 route add blackhole 2001:db8:2::/48;"
		"ip -6 route add unreachable 2001:db8:4::/48;"
		"ip -6 route add prohibit 2001:db8:5::/48 table 100;"
		"ip -6 route add 2001:db8:6::/48 dev kioku0 table 1000;"
		"ip -6 route add 2001:db8:3::/48 via 2001:db8::9;"
		"ip -6 route append 2001:db8:3::/48 via 2001:db8::a");
	add_multipath();
	add_objects();
}
