/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages to the kernel over netlink, with attributes. */
#ifndef LAB_REQUEST_H
#define LAB_REQUEST_H

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stddef.h>
#include <string.h>

struct request {
	struct nlmsghdr header;
	char bytes[512]; /* a struct rtmsg or the like, attributes */
};

static inline struct request request_begin(unsigned short type, const void *message, size_t size)
{
	struct request request = { .header = { .nlmsg_type = type,
					       .nlmsg_flags = NLM_F_REQUEST | NLM_F_CREATE,
					       .nlmsg_len = NLMSG_SPACE(size) } };

	memcpy(request.bytes, message, size);
	return request;
}

static inline void request_add(struct request *request, unsigned short type, const void *data,
			       size_t size)
{
	struct rtattr attribute = { (unsigned short)RTA_LENGTH(size), type };
	char *end = (char *)request + request->header.nlmsg_len;

	memcpy(end, &attribute, sizeof attribute);
	memcpy(end + RTA_LENGTH(0), data, size);
	request->header.nlmsg_len += RTA_SPACE(size);
}

#endif
