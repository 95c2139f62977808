/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Open files and sockets, among the facts of a process. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/growing.h"
#include "base/scan.h"
#include "base/url.h"
#include "format/sockets_format.h"
#include "snapshot/process_facts_parts.h"

#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))
#define SOCKETS_LIMIT (64u << 20) /* bytes of one list */

struct open_socket {
	uint64_t inode;
	int32_t descriptor;
	bool is_listed;
};

struct open_sockets {
	struct open_socket *sockets;
	size_t count, capacity;
};

/* --- open files */

/* By what its link says, where asking the file system could wait for a dead server. */
static const char *kind_of_link(struct bytes link)
{
	static const struct {
		const char *begin, *kind;
	} kinds[] = {
		{ "socket:[", "socket" },       { "pipe:[", "pipe" }, { "/memfd:", "memfd" },
		{ "anon_inode:", "anonymous" }, { "/", "file" },
	};

	for (size_t i = 0; i < COUNT(kinds); i++) {
		size_t at = 0;
		if (scan_text(link, &at, kinds[i].begin))
			return kinds[i].kind;
	}
	return "other";
}

static const char *kind_of_mode(unsigned mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR: return "folder";
	case S_IFCHR: return "character_device";
	case S_IFBLK: return "block_device";
	case S_IFIFO: return "fifo";
	default: return NULL;
	}
}

/* "socket:[1234]" */
static bool socket_inode(struct bytes link, uint64_t *out)
{
	size_t at = 0;

	return scan_text(link, &at, "socket:[") && scan_decimal(link, &at, out);
}

static bool add_socket(struct open_sockets *list, uint64_t inode, int32_t descriptor)
{
	if (!GROW(list->sockets, list->count, list->capacity))
		return false;
	list->sockets[list->count++] =
		(struct open_socket){ .inode = inode, .descriptor = descriptor };
	return true;
}

/* "flags:\t02100002", octal; "pos:\t0". Position and flags are of the open file, not of the number. */
static void put_fdinfo(struct facts *facts, int32_t descriptor)
{
	static const char *const accesses[] = { "read", "write", "read_write", "none" };
	struct json_writer *json = &facts->json;
	struct kioku_error error = { 0 };
	char name[64], path[PROCESS_STRING_SIZE];
	uint64_t position;
	struct bytes flags;

	snprintf(name, sizeof(name), "fdinfo/%d", descriptor);
	process_live_path(facts->process, name, path);
	if (file_text_read(&facts->text, facts->process->folder, path, PROCESS_FILE_LIMIT,
			   &error) != KIOKU_OK) {
		if (error.os_errno != ENOENT)
			facts_gap_error(facts, name, &error);
		return;
	}
	struct bytes text = file_text_bytes(&facts->text);
	if (task_status_numbers(text, "pos", &position, 1))
		json_put_unsigned(json, "position", position);
	if (task_status_find(text, "flags", &flags) && flags.size > 0) {
		json_put_bytes(json, "flags", flags);
		json_put_text(json, "access", accesses[flags.data[flags.size - 1] & O_ACCMODE]);
	}
}

/* What the kernel has of the file already: a server is not asked. */
static void put_status(struct facts *facts, const char *path, const char *kind)
{
	struct json_writer *json = &facts->json;
	const char *mode_kind = NULL;
#ifdef SYS_statx
	struct statx status;

	if (syscall(SYS_statx, facts->process->folder, path, AT_STATX_DONT_SYNC, STATX_BASIC_STATS,
		    &status) == 0) {
		mode_kind = kind_of_mode(status.stx_mode);
		json_put_unsigned(json, "inode", status.stx_ino);
		if (S_ISREG(status.stx_mode)) {
			json_put_unsigned(json, "size", status.stx_size);
			json_put_flag(json, "deleted", status.stx_nlink == 0);
		}
	}
#endif
	bool is_named = strcmp(kind, "file") == 0;
	json_put_text(json, "kind", is_named && mode_kind ? mode_kind : kind);
}

static bool put_file(struct facts *facts, int32_t descriptor, struct open_sockets *sockets)
{
	struct kioku_error error = { 0 };
	char name[64], path[PROCESS_STRING_SIZE];
	uint64_t inode;

	snprintf(name, sizeof(name), "fd/%d", descriptor);
	process_live_path(facts->process, name, path);
	if (file_text_read_link(&facts->text, facts->process->folder, path, &error) != KIOKU_OK) {
		/* It was closed meanwhile. */
		if (error.os_errno != ENOENT)
			facts_gap_error(facts, name, &error);
		return true;
	}
	struct bytes link = file_text_bytes(&facts->text);
	const char *kind = kind_of_link(link);
	if (socket_inode(link, &inode) && !add_socket(sockets, inode, descriptor))
		return false;
	json_begin_object(&facts->json, NULL);
	json_put_signed(&facts->json, "fd", descriptor);
	json_put_bytes(&facts->json, "path", link);
	put_status(facts, path, kind);
	put_fdinfo(facts, descriptor);
	json_end_object(&facts->json);
	return true;
}

/* --- sockets */

/* Below net, in the process's own network namespace. */
static const struct {
	const char *name;
	enum socket_form form;
	bool is_tcp;
} lists[] = {
	{ "tcp", SOCKET_INET, true },       { "tcp6", SOCKET_INET, true },
	{ "udp", SOCKET_INET, false },      { "udp6", SOCKET_INET, false },
	{ "udplite", SOCKET_INET, false },  { "udplite6", SOCKET_INET, false },
	{ "raw", SOCKET_INET, false },      { "raw6", SOCKET_INET, false },
	{ "icmp", SOCKET_INET, false },     { "icmp6", SOCKET_INET, false },
	{ "unix", SOCKET_UNIX, false },     { "netlink", SOCKET_NETLINK, false },
	{ "packet", SOCKET_PACKET, false },
};

static const char *socket_type(uint64_t type)
{
	switch (type) {
	case SOCK_STREAM: return "stream";
	case SOCK_DGRAM: return "datagram";
	case SOCK_RAW: return "raw";
	case SOCK_SEQPACKET: return "seqpacket";
	default: return NULL;
	}
}

static const char *unix_state(const struct socket_line *line)
{
	/* include/uapi/linux/net.h, socket_state */
	static const char *const states[] = { "free", "unconnected", "connecting", "connected",
					      "disconnecting" };

	if (line->is_listening)
		return "listen";
	return line->state < COUNT(states) ? states[line->state] : NULL;
}

static void put_inet(struct json_writer *json, const struct socket_line *line, bool is_tcp)
{
	char address[SOCKET_ADDRESS_TEXT];

	socket_address_text(&line->local, address);
	json_put_text(json, "local", address);
	socket_address_text(&line->remote, address);
	json_put_text(json, "remote", address);
	/* Others have the numbers of TCP's states for "connected" and "not". */
	if (is_tcp)
		json_put_text(json, "state", socket_tcp_state(line->state));
	else
		json_put_text(json, "state", line->state == 1 ? "connected" : "unconnected");
}

static void put_socket(struct json_writer *json, size_t list, const struct socket_line *line,
		       int32_t descriptor)
{
	json_begin_object(json, NULL);
	json_put_signed(json, "fd", descriptor);
	json_put_text(json, "protocol", lists[list].name);
	json_put_unsigned(json, "inode", line->inode);
	switch (lists[list].form) {
	case SOCKET_INET: put_inet(json, line, lists[list].is_tcp); break;
	case SOCKET_UNIX:
		json_put_text(json, "type", socket_type(line->type));
		json_put_bytes(json, "local", line->path);
		json_put_text(json, "state", unix_state(line));
		break;
	case SOCKET_NETLINK:
		json_put_unsigned(json, "netlink_protocol", line->protocol);
		json_put_unsigned(json, "port", line->port);
		break;
	case SOCKET_PACKET:
		json_put_text(json, "type", socket_type(line->type));
		json_put_unsigned(json, "ethernet_protocol", line->protocol);
		json_put_unsigned(json, "interface", line->interface);
		break;
	}
	json_end_object(json);
}

static int compare_sockets(const void *left, const void *right)
{
	const struct open_socket *a = left, *b = right;

	if (a->inode != b->inode)
		return a->inode < b->inode ? -1 : 1;
	return a->descriptor < b->descriptor ? -1 : a->descriptor > b->descriptor;
}

/* The first of those with an inode, of which there are several after dup(); count if there is none. */
static size_t find_socket(const struct open_sockets *open, uint64_t inode)
{
	size_t low = 0, high = open->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (open->sockets[middle].inode < inode)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void put_list(struct facts *facts, size_t list, struct open_sockets *open)
{
	struct kioku_error error = { 0 };
	char name[64], path[PROCESS_STRING_SIZE];
	struct socket_line socket;
	struct bytes line;

	snprintf(name, sizeof(name), "net/%s", lists[list].name);
	process_live_path(facts->process, name, path);
	if (file_text_read(&facts->text, facts->process->folder, path, SOCKETS_LIMIT, &error) !=
	    KIOKU_OK) {
		/* A kernel without the protocol has no list of it. */
		if (error.os_errno != ENOENT)
			facts_gap_error(facts, name, &error);
		return;
	}
	for (size_t offset = 0; scan_line(file_text_bytes(&facts->text), &offset, &line);) {
		/* Sockets that are closing belong to nobody, and have 0. */
		if (!socket_line_decode(line, lists[list].form, &socket) || socket.inode == 0)
			continue;
		for (size_t i = find_socket(open, socket.inode);
		     i < open->count && open->sockets[i].inode == socket.inode; i++) {
			open->sockets[i].is_listed = true;
			put_socket(&facts->json, list, &socket, open->sockets[i].descriptor);
		}
	}
}

static void put_sockets(struct facts *facts, struct open_sockets *open)
{
	struct json_writer *json = &facts->json;

	if (open->count > 0)
		qsort(open->sockets, open->count, sizeof(*open->sockets), compare_sockets);
	json_begin_array(json, "sockets");
	for (size_t i = 0; i < COUNT(lists) && open->count > 0; i++)
		put_list(facts, i, open);
	/* Those that are not bound yet, of other protocols, or of other network namespaces. */
	for (size_t i = 0; i < open->count; i++) {
		if (open->sockets[i].is_listed)
			continue;
		json_begin_object(json, NULL);
		json_put_signed(json, "fd", open->sockets[i].descriptor);
		json_put_text(json, "protocol", NULL);
		json_put_unsigned(json, "inode", open->sockets[i].inode);
		json_end_object(json);
	}
	json_end_array(json);
}

void facts_put_descriptors(struct facts *facts)
{
	AUTO_NUMBERS struct number_list descriptors = { 0 };
	struct open_sockets sockets = { 0 };
	struct kioku_error error = { 0 };
	char path[PROCESS_STRING_SIZE];
	bool enough = true;

	process_live_path(facts->process, "fd", path);
	if (number_list_read(&descriptors, facts->process->folder, path, &error) != KIOKU_OK) {
		facts_gap_error(facts, "open_files", &error);
		facts_gap_error(facts, "sockets", &error);
		return;
	}
	json_begin_array(&facts->json, "open_files");
	for (size_t i = 0; i < descriptors.count && enough; i++)
		enough = put_file(facts, descriptors.numbers[i], &sockets);
	json_end_array(&facts->json);
	put_sockets(facts, &sockets);
	if (!enough)
		facts_gap(facts, "open_files", "out of memory");
	free(sockets.sockets);
}
