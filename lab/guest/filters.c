/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Chains of nftables, in the network namespace that we are in; there is no nft in a guest. */
#define _GNU_SOURCE
#include "activity.h"
#include "request.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct request begin(unsigned short type, unsigned char family, unsigned short resource)
{
	struct nfgenmsg message = { family, NFNETLINK_V0, htons(resource) };

	return request_begin(type, &message, sizeof message);
}

static void add_text(struct request *request, unsigned short type, const char *text)
{
	request_add(request, type, text, strlen(text) + 1);
}

static struct request table(unsigned char family)
{
	struct request request = begin(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE, family, 0);

	add_text(&request, NFTA_TABLE_NAME, "kioku");
	return request;
}

static struct request chain(unsigned char family, const char *name, unsigned point, int priority,
			    const char *device)
{
	struct request request = begin(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWCHAIN, family, 0);
	struct request hook = { .header.nlmsg_len = NLMSG_HDRLEN };
	unsigned numbers[] = { htonl(point), htonl((unsigned)priority) };

	request_add(&hook, NFTA_HOOK_HOOKNUM, &numbers[0], 4);
	request_add(&hook, NFTA_HOOK_PRIORITY, &numbers[1], 4);
	if (device)
		add_text(&hook, NFTA_HOOK_DEV, device);
	add_text(&request, NFTA_CHAIN_TABLE, "kioku");
	add_text(&request, NFTA_CHAIN_NAME, name);
	request_add(&request, NLA_F_NESTED | NFTA_CHAIN_HOOK, hook.bytes,
		    hook.header.nlmsg_len - NLMSG_HDRLEN);
	add_text(&request, NFTA_CHAIN_TYPE, "filter");
	return request;
}

/* A batch of its own each: what this kernel cannot do costs no other one. */
static void tell(int file, struct request request)
{
	struct request first = begin(NFNL_MSG_BATCH_BEGIN, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	struct request last = begin(NFNL_MSG_BATCH_END, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);
	const struct request *all[] = { &first, &request, &last };
	char bytes[3 * sizeof request];
	size_t size = 0;

	for (size_t i = 0; i < 3; size += NLMSG_ALIGN(all[i++]->header.nlmsg_len))
		memcpy(bytes + size, all[i], all[i]->header.nlmsg_len);
	(void)!send(file, bytes, size, 0);
}

void add_filters(void)
{
	int file = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);

	tell(file, table(NFPROTO_INET));
	tell(file, chain(NFPROTO_INET, "input", NF_INET_LOCAL_IN, 10, NULL));
	tell(file, chain(NFPROTO_INET, "early", NF_INET_LOCAL_IN, -300, NULL));
	tell(file, table(NFPROTO_IPV4));
	tell(file, chain(NFPROTO_IPV4, "output", NF_INET_LOCAL_OUT, -150, NULL));
	tell(file, table(NFPROTO_ARP));
	tell(file, chain(NFPROTO_ARP, "input", 0, 3, NULL));
	tell(file, table(NFPROTO_NETDEV));
	tell(file, chain(NFPROTO_NETDEV, "ingress", 0, 5, "kioku0"));
	close(file);
}
