/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <arpa/inet.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "kernel/socket_facts.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

struct handle {
	uint64_t file, sock;
	uint16_t type;
};

static const struct member handle_members[] = {
	MEMBER(struct handle, file, "file"),
	MEMBER(struct handle, sock, "sk"),
	MEMBER(struct handle, type, "type"),
};
static const struct record handle_record = RECORD(struct handle, "socket", handle_members);

/* What all have that are in a table. */
struct common {
	uint64_t namespace;
	uint16_t family;
	uint8_t state;
	uint16_t remote_port, local_port; /* the first big-endian, as it is; the other one not */
	uint32_t remote4, local4;         /* as they are */
	uint8_t remote6[16], local6[16];
};

static const struct member common_members[] = {
	MEMBER(struct common, family, "skc_family"),
	MEMBER(struct common, state, "skc_state"),
	MEMBER(struct common, remote_port, "skc_dport"),
	MEMBER(struct common, local_port, "skc_num"),
	MEMBER(struct common, remote4, "skc_daddr"),
	MEMBER(struct common, local4, "skc_rcv_saddr"),
	OPTIONAL(struct common, namespace, "skc_net.net"),
	OPTIONAL(struct common, remote6, "skc_v6_daddr.in6_u.u6_addr8"),
	OPTIONAL(struct common, local6, "skc_v6_rcv_saddr.in6_u.u6_addr8"),
};
static const struct record common_record = RECORD(struct common, "sock_common", common_members);

/* The common part is its first. */
struct sock {
	uint64_t address;     /* not a member of it */
	struct common common; /* likewise */
	uint64_t handle, filter;
	uint16_t type, protocol;
	uint32_t received, sending; /* bytes, with what they are kept in */
	uint32_t waiting;           /* connections that nobody has accepted */
};

static const struct member sock_members[] = {
	MEMBER(struct sock, handle, "sk_socket"),
	MEMBER(struct sock, type, "sk_type"),
	MEMBER(struct sock, protocol, "sk_protocol"),
	OPTIONAL(struct sock, filter, "sk_filter"),
	OPTIONAL(struct sock, received, "sk_backlog.rmem_alloc"),
	OPTIONAL(struct sock, sending, "sk_wmem_alloc"),
	OPTIONAL(struct sock, waiting, "sk_ack_backlog"),
};
static const struct record sock_record = RECORD(struct sock, "sock", sock_members);

/* Sequence numbers of TCP. */
struct tcp_queues {
	uint32_t received, read, written, acknowledged;
};

static const struct member tcp_members[] = {
	MEMBER(struct tcp_queues, received, "rcv_nxt"),
	MEMBER(struct tcp_queues, read, "copied_seq"),
	MEMBER(struct tcp_queues, written, "write_seq"),
	MEMBER(struct tcp_queues, acknowledged, "snd_una"),
};
static const struct record tcp_record = RECORD(struct tcp_queues, "tcp_sock", tcp_members);

struct udp_facts {
	uint32_t deficit; /* bytes that were read and are still counted */
};

static const struct member udp_members[] = { MEMBER(struct udp_facts, deficit, "forward_deficit") };
static const struct record udp_record = RECORD(struct udp_facts, "udp_sock", udp_members);

struct unix_ends {
	uint64_t name, peer;
};

static const struct member unix_members[] = {
	MEMBER(struct unix_ends, name, "addr"),
	MEMBER(struct unix_ends, peer, "peer"),
};
static const struct record unix_record = RECORD(struct unix_ends, "unix_sock", unix_members);

struct unix_name {
	uint32_t size;
	uint8_t start[2]; /* of which only the place matters: a struct sockaddr_un */
};

static const struct member name_members[] = {
	MEMBER(struct unix_name, size, "len"),
	MEMBER(struct unix_name, start, "name"),
};
static const struct record name_record = RECORD(struct unix_name, "unix_address", name_members);

struct packet {
	uint16_t protocol;
};

static const struct member packet_members[] = { MEMBER(struct packet, protocol, "num") };
static const struct record packet_record = RECORD(struct packet, "packet_sock", packet_members);

/* struct socket and its inode lie together. */
struct socket_inode {
	uint64_t handle_file, number;
};

static const struct member inode_members[] = {
	MEMBER(struct socket_inode, handle_file, "socket.file"),
	MEMBER(struct socket_inode, number, "vfs_inode.i_ino"),
};
static const struct record inode_record =
	RECORD(struct socket_inode, "socket_alloc", inode_members);

/* --- numbers and their names (include/linux/socket.h, net/tcp_states.h, v4.18 to v7.0) */

struct number_name {
	uint16_t number;
	const char *name;
};

static const struct number_name families[] = {
	{ AF_UNIX, "unix" },
	{ AF_INET, "IPv4" },
	{ AF_INET6, "IPv6" },
	{ AF_NETLINK, "netlink" },
	{ AF_PACKET, "packet" },
	{ AF_ALG, "alg" },
	{ AF_BLUETOOTH, "bluetooth" },
	{ AF_VSOCK, "vsock" },
	{ 29, "can" },
	{ 44, "xdp" },
	{ 30, "tipc" },
	{ 15, "key" },
	{ 43, "smc" },
	{ 42, "qrtr" },
	{ 24, "pppox" },
};

static const struct number_name types[] = {
	{ SOCK_STREAM, "STREAM" }, { SOCK_DGRAM, "DGRAM" },         { SOCK_RAW, "RAW" },
	{ SOCK_RDM, "RDM" },       { SOCK_SEQPACKET, "SEQPACKET" }, { 6, "DCCP" },
	{ SOCK_PACKET, "PACKET" },
};

static const struct number_name internet_protocols[] = {
	{ 1, "ICMP" },    { 2, "IGMP" },   { 6, "TCP" },       { 17, "UDP" },  { 33, "DCCP" },
	{ 58, "ICMPv6" }, { 132, "SCTP" }, { 136, "UDPLITE" }, { 255, "RAW" }, { 262, "MPTCP" },
};

static const struct number_name netlink_protocols[] = {
	{ 0, "ROUTE" },      { 2, "USERSOCK" },       { 4, "SOCK_DIAG" },
	{ 5, "NFLOG" },      { 6, "XFRM" },           { 7, "SELINUX" },
	{ 8, "ISCSI" },      { 9, "AUDIT" },          { 10, "FIB_LOOKUP" },
	{ 11, "CONNECTOR" }, { 12, "NETFILTER" },     { 15, "KOBJECT_UEVENT" },
	{ 16, "GENERIC" },   { 18, "SCSITRANSPORT" }, { 20, "RDMA" },
	{ 21, "CRYPTO" },
};

static const char *const states[] = {
	NULL,        "ESTABLISHED", "SYN_SENT",     "SYN_RECV",       "FIN_WAIT1",
	"FIN_WAIT2", "TIME_WAIT",   "CLOSE",        "CLOSE_WAIT",     "LAST_ACK",
	"LISTEN",    "CLOSING",     "NEW_SYN_RECV", "BOUND_INACTIVE",
};

static const char *name_of(const struct number_name *names, size_t count, uint16_t number)
{
	for (size_t i = 0; i < count; i++)
		if (names[i].number == number)
			return names[i].name;
	return NULL;
}

static void set_protocol(struct socket_facts *out, const char *name, uint16_t number)
{
	out->protocol.size =
		(size_t)(name ? snprintf(out->protocol.data, SOCKET_END_ROOM, "%s", name)
			      : snprintf(out->protocol.data, SOCKET_END_ROOM, "%u", number));
}

/* What is not connected is closed to TCP only. */
static const char *state_name(const struct sock *sock, uint16_t type)
{
	const uint8_t closed = 7;
	bool is_tcp = sock->common.family != AF_UNIX && type == SOCK_STREAM;

	if (sock->common.state == closed && !is_tcp)
		return "UNCONNECTED";
	return sock->common.state < COUNT(states) ? states[sock->common.state] : NULL;
}

/* --- Internet sockets */

static void set_end(struct socket_text *out, int family, const void *address, uint16_t port,
		    bool has_port)
{
	static const uint8_t any[16];
	char text[INET6_ADDRSTRLEN];
	bool is_six = family == AF_INET6;

	/* Neither bound nor connected. */
	if (memcmp(address, any, is_six ? 16 : 4) == 0 && (!has_port || port == 0))
		return;
	inet_ntop(family, address, text, sizeof(text));
	if (has_port)
		out->size = (size_t)snprintf(out->data, SOCKET_END_ROOM,
					     is_six ? "[%s]:%u" : "%s:%u", text, port);
	else
		out->size = (size_t)snprintf(out->data, SOCKET_END_ROOM, "%s", text);
}

static enum kioku_status internet_facts(struct kioku_kernel *kernel, const struct sock *sock,
					uint16_t type, struct socket_facts *out)
{
	const struct binding *binding;
	bool is_six = sock->common.family == AF_INET6, has_port = type != SOCK_RAW;

	set_protocol(out, name_of(internet_protocols, COUNT(internet_protocols), sock->protocol),
		     sock->protocol);
	out->state = state_name(sock, type);
	TRY(record_bind(kernel, &common_record, &binding, NULL));
	if (is_six && !BINDING_HAS(binding, struct common, local6)) {
		out->has_lost_part = true;
		return KIOKU_OK;
	}
	set_end(&out->local, sock->common.family,
		is_six ? (const void *)sock->common.local6 : &sock->common.local4,
		sock->common.local_port, has_port);
	set_end(&out->remote, sock->common.family,
		is_six ? (const void *)sock->common.remote6 : &sock->common.remote4,
		ntohs(sock->common.remote_port), has_port);
	return KIOKU_OK;
}

/* --- UNIX sockets */

/* As /proc/net/unix shows it: NULs are '@' there. */
static enum kioku_status unix_name(struct kioku_kernel *kernel, uint64_t address,
				   struct socket_text *out)
{
	const struct binding *binding;
	const size_t family_size = 2, longest = 108; /* of sockaddr_un, include/uapi/linux/un.h */
	struct unix_name name;

	TRY(record_bind(kernel, &name_record, &binding, NULL));
	TRY(record_read_at(kernel, &name_record, address, &name));
	if (name.size <= family_size || name.size > family_size + longest + 1)
		return KIOKU_ERROR_CORRUPT;
	size_t size = name.size - family_size;
	TRY(kernel_read(kernel,
			address + BINDING_OFFSET(binding, struct unix_name, start) + family_size,
			out->data, size, NULL));
	/* A path ends with a NUL, and has none before. */
	if (out->data[0] != '\0') {
		out->size = strnlen(out->data, size);
		return KIOKU_OK;
	}
	for (size_t i = 0; i < size; i++)
		if (out->data[i] == '\0')
			out->data[i] = '@';
	out->size = size;
	return KIOKU_OK;
}

/* The inode of a struct socket lies with it. */
static enum kioku_status inode_of(struct kioku_kernel *kernel, uint64_t socket, uint64_t *out)
{
	const struct binding *alloc, *handle;
	struct socket_inode inode;

	TRY(record_bind(kernel, &inode_record, &alloc, NULL));
	TRY(record_bind(kernel, &handle_record, &handle, NULL));
	uint64_t start = BINDING_OFFSET(alloc, struct socket_inode, handle_file) -
			 BINDING_OFFSET(handle, struct handle, file);
	TRY(record_read_at(kernel, &inode_record, socket - start, &inode));
	*out = inode.number;
	return KIOKU_OK;
}

static enum kioku_status unnamed_peer(struct kioku_kernel *kernel, uint64_t peer,
				      struct socket_text *out)
{
	struct common common;
	struct sock sock;
	uint64_t inode;

	TRY(record_read_at(kernel, &common_record, peer, &common));
	TRY(record_read_at(kernel, &sock_record, peer, &sock));
	if (common.family != AF_UNIX)
		return KIOKU_ERROR_CORRUPT;
	/* Not accepted yet, or closed already. */
	if (!sock.handle)
		return KIOKU_OK;
	TRY(inode_of(kernel, sock.handle, &inode));
	out->size = (size_t)snprintf(out->data, SOCKET_END_ROOM, "socket:[%" PRIu64 "]", inode);
	return KIOKU_OK;
}

static enum kioku_status unix_peer(struct kioku_kernel *kernel, uint64_t peer,
				   struct socket_text *out)
{
	struct unix_ends ends;

	TRY(record_read_at(kernel, &unix_record, peer, &ends));
	return ends.name ? unix_name(kernel, ends.name, out) : unnamed_peer(kernel, peer, out);
}

static enum kioku_status unix_facts(struct kioku_kernel *kernel, const struct sock *sock,
				    struct socket_facts *out)
{
	struct unix_ends ends;

	out->state = state_name(sock, 0);
	TRY(record_read_at(kernel, &unix_record, sock->address, &ends));
	if (ends.name && unix_name(kernel, ends.name, &out->local) != KIOKU_OK) {
		out->local.size = 0;
		out->has_lost_part = true;
	}
	if (ends.peer && unix_peer(kernel, ends.peer, &out->remote) != KIOKU_OK) {
		out->remote.size = 0;
		out->has_lost_part = true;
	}
	return KIOKU_OK;
}

/* --- others */

static void packet_facts(struct kioku_kernel *kernel, const struct sock *sock,
			 struct socket_facts *out)
{
	struct packet packet;

	/* A kernel that has this in a module does not have the module's types. */
	if (record_read_at(kernel, &packet_record, sock->address, &packet) != KIOKU_OK)
		return;
	out->protocol.size = (size_t)snprintf(out->protocol.data, SOCKET_END_ROOM, "0x%04x",
					      ntohs(packet.protocol));
}

/* --- what waits in a socket */

/* As net/ipv4/tcp_ipv4.c, udp.c and raw.c show it in /proc/net. */
static void set_queues(struct kioku_kernel *kernel, const struct sock *sock,
		       struct socket_facts *out)
{
	const uint8_t listening = 10;
	struct tcp_queues tcp;
	struct udp_facts udp = { 0 };

	if (sock->type == SOCK_STREAM && sock->protocol == IPPROTO_TCP) {
		if (record_read_at(kernel, &tcp_record, sock->address, &tcp) != KIOKU_OK)
			return;
		uint32_t unread = tcp.received - tcp.read;
		out->receive_queue = sock->common.state == listening ? sock->waiting
				     : unread > INT32_MAX            ? 0
								     : unread;
		out->send_queue = tcp.written - tcp.acknowledged;
		out->has_queues = true;
	} else if (sock->type == SOCK_DGRAM || sock->type == SOCK_RAW) {
		if (sock->type == SOCK_DGRAM)
			(void)!record_read_at(kernel, &udp_record, sock->address, &udp);
		out->receive_queue = sock->received - udp.deficit;
		/* One is the socket's own. */
		out->send_queue = sock->sending ? sock->sending - 1 : 0;
		out->has_queues = true;
	}
}

static enum kioku_status read_whole(struct kioku_kernel *kernel, const struct sock *sock,
				    struct socket_facts *out)
{
	out->type = name_of(types, COUNT(types), sock->type);
	out->handle = sock->handle;
	out->has_filter = sock->filter != 0;
	if (sock->handle && inode_of(kernel, sock->handle, &out->inode) != KIOKU_OK)
		out->has_lost_part = true;
	switch (sock->common.family) {
	case AF_INET:
	case AF_INET6:
		set_queues(kernel, sock, out);
		return internet_facts(kernel, sock, sock->type, out);
	case AF_UNIX: return unix_facts(kernel, sock, out);
	case AF_NETLINK:
		set_protocol(out,
			     name_of(netlink_protocols, COUNT(netlink_protocols), sock->protocol),
			     sock->protocol);
		return KIOKU_OK;
	case AF_PACKET: packet_facts(kernel, sock, out); return KIOKU_OK;
	default: return KIOKU_OK;
	}
}

enum kioku_status sock_read(struct kioku_kernel *kernel, uint64_t address, struct socket_facts *out)
{
	/* include/net/tcp_states.h: what these are in stands in for a socket. */
	const uint8_t time_wait = 6, new_request = 12;
	struct common common;
	struct sock sock = { .type = SOCK_STREAM, .protocol = IPPROTO_TCP };

	*out = (struct socket_facts){ 0 };
	TRY(record_read_at(kernel, &common_record, address, &common));
	bool is_internet = common.family == AF_INET || common.family == AF_INET6;
	bool is_whole = !is_internet || (common.state != time_wait && common.state != new_request);
	if (is_whole)
		TRY(record_read_at(kernel, &sock_record, address, &sock));
	sock.address = address;
	sock.common = common;
	out->family = common.family;
	out->namespace = common.namespace;
	out->name = name_of(families, COUNT(families), common.family);
	if (is_whole)
		return read_whole(kernel, &sock, out);
	out->type = name_of(types, COUNT(types), SOCK_STREAM);
	return internet_facts(kernel, &sock, SOCK_STREAM, out);
}

enum kioku_status socket_sock(struct kioku_kernel *kernel, uint64_t socket, uint64_t file,
			      uint64_t *out)
{
	struct handle handle;

	TRY(record_read_at(kernel, &handle_record, socket, &handle));
	*out = handle.sock;
	return handle.file == file ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}

enum kioku_status socket_read(struct kioku_kernel *kernel, uint64_t socket, uint64_t file,
			      struct socket_facts *out)
{
	struct handle handle;

	*out = (struct socket_facts){ 0 };
	TRY(record_read_at(kernel, &handle_record, socket, &handle));
	if (handle.file != file)
		return KIOKU_ERROR_CORRUPT;
	if (!handle.sock) {
		out->type = name_of(types, COUNT(types), handle.type);
		return KIOKU_OK;
	}
	TRY(sock_read(kernel, handle.sock, out));
	return out->handle == socket ? KIOKU_OK : KIOKU_ERROR_CORRUPT;
}
