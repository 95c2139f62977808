/* SPDX-License-Identifier: LGPL-2.1-or-later */
#define _GNU_SOURCE
#include "hook_list.h"
#include "request.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_hook.h>
#include <net/if.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const char *find(const struct rtattr *at, int size, unsigned short type)
{
	for (; RTA_OK(at, size); at = RTA_NEXT(at, size))
		if ((at->rta_type & NLA_TYPE_MASK) == type)
			return RTA_DATA(at);
	return NULL;
}

static void print_hook(FILE *out, const struct nlmsghdr *header, const char *device)
{
	const struct nfgenmsg *message = NLMSG_DATA(header);
	const struct rtattr *at =
		(const void *)((const char *)message + NLMSG_ALIGN(sizeof *message));
	int size = (int)NLMSG_PAYLOAD(header, sizeof *message);
	const void *point = find(at, size, NFNLA_HOOK_HOOKNUM);
	const void *priority = find(at, size, NFNLA_HOOK_PRIORITY);
	const char *function = find(at, size, NFNLA_HOOK_FUNCTION_NAME);
	const char *module = find(at, size, NFNLA_HOOK_MODULE_NAME);

	if (!point || !priority)
		return;
	fprintf(out, "%u %u %d %s %s %s\n", message->nfgen_family, ntohl(*(const unsigned *)point),
		(int)ntohl(*(const unsigned *)priority), device ? device : "-",
		function ? function : "-", module ? module : "-");
}

static void list_point(FILE *out, unsigned char family, unsigned point, const char *device)
{
	struct nfgenmsg message = { family, NFNETLINK_V0, 0 };
	struct request request =
		request_begin(NFNL_SUBSYS_HOOK << 8 | NFNL_MSG_HOOK_GET, &message, sizeof message);
	static char buffer[65536] __attribute__((aligned(8)));
	int file = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER), is_done = file < 0;
	unsigned number = htonl(point);

	request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	request_add(&request, NFNLA_HOOK_HOOKNUM, &number, sizeof number);
	if (device)
		request_add(&request, NFNLA_HOOK_DEV, device, strlen(device) + 1);
	(void)!send(file, &request, request.header.nlmsg_len, 0);
	while (!is_done) {
		int size = (int)recv(file, buffer, sizeof buffer, 0);
		const struct nlmsghdr *header = (const void *)buffer;
		is_done = size <= 0;
		for (; NLMSG_OK(header, (unsigned)size); header = NLMSG_NEXT(header, size)) {
			if (header->nlmsg_type >= NLMSG_MIN_TYPE)
				print_hook(out, header, device);
			else
				is_done = 1;
		}
	}
	close(file);
}

void list_hooks(FILE *out)
{
	static const unsigned char families[] = { NFPROTO_IPV4, NFPROTO_IPV6, NFPROTO_BRIDGE };
	struct if_nameindex *names = if_nameindex();

	for (size_t i = 0; i < sizeof families; i++)
		for (unsigned point = 0; point < NF_INET_NUMHOOKS; point++)
			list_point(out, families[i], point, NULL);
	for (unsigned point = 0; point < 3; point++)
		list_point(out, NFPROTO_ARP, point, NULL);
	for (const struct if_nameindex *one = names; one && one->if_name; one++)
		for (unsigned point = 0; point < 2; point++)
			list_point(out, NFPROTO_NETDEV, point, one->if_name);
	if_freenameindex(names);
}
