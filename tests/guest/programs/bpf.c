// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Loads BPF programs and maps, attaches one to a socket and one by a link to a cgroup, says what the kernel says
 * of all that there is, one object a line, and stays. argv[1] is a folder for a cgroup2 to be mounted at.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/bpf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(int command, union bpf_attr *attributes)
{
	int result = (int)syscall(SYS_bpf, command, attributes, sizeof(*attributes));

	if (result < 0 && command != BPF_PROG_GET_NEXT_ID && command != BPF_MAP_GET_NEXT_ID &&
	    command != BPF_LINK_GET_NEXT_ID) {
		perror("bpf");
		exit(1);
	}
	return result;
}

static int load(int type, const char *name, int expected)
{
	/* r0 = 1; exit */
	static const struct bpf_insn code[] = {
		{ .code = 0xb7, .imm = 1 },
		{ .code = 0x95 },
	};
	union bpf_attr attributes = { .prog_type = (uint32_t)type,
				      .insns = (uintptr_t)code,
				      .insn_cnt = 2,
				      .license = (uintptr_t) "GPL",
				      .expected_attach_type = (uint32_t)expected };

	strncpy(attributes.prog_name, name, sizeof(attributes.prog_name) - 1);
	return bpf(BPF_PROG_LOAD, &attributes);
}

static void make_map(int type, const char *name, uint32_t value_size, uint32_t entries)
{
	union bpf_attr attributes = { .map_type = (uint32_t)type,
				      .key_size = 4,
				      .value_size = value_size,
				      .max_entries = entries };

	strncpy(attributes.map_name, name, sizeof(attributes.map_name) - 1);
	bpf(BPF_MAP_CREATE, &attributes);
}

static void link_to_cgroup(const char *folder, int program)
{
	mkdir(folder, 0755);
	if (mount("none", folder, "cgroup2", 0, NULL))
		perror(folder);
	union bpf_attr attributes = { .link_create = { .prog_fd = (uint32_t)program,
						       .target_fd =
							       (uint32_t)open(folder, O_RDONLY),
						       .attach_type = BPF_CGROUP_INET_INGRESS } };
	bpf(BPF_LINK_CREATE, &attributes);
}

static int opened(int command, uint32_t id, void *info, uint32_t size)
{
	union bpf_attr by_id = { .prog_id = id };
	int fd = bpf(command, &by_id);
	union bpf_attr attributes = {
		.info = { .bpf_fd = (uint32_t)fd, .info_len = size, .info = (uintptr_t)info }
	};

	bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes);
	return fd;
}

static uint32_t next(int command, uint32_t id)
{
	union bpf_attr attributes = { .start_id = id };

	return bpf(command, &attributes) < 0 ? 0 : attributes.next_id;
}

static void say_all(void)
{
	for (uint32_t id = 0; (id = next(BPF_PROG_GET_NEXT_ID, id));) {
		struct bpf_prog_info info = { 0 };
		close(opened(BPF_PROG_GET_FD_BY_ID, id, &info, sizeof(info)));
		printf("program %u %u %s ", id, info.type, info.name);
		for (int i = 0; i < 8; i++)
			printf("%02x", info.tag[i]);
		printf(" %llu %u\n", (unsigned long long)info.load_time, info.created_by_uid);
	}
	for (uint32_t id = 0; (id = next(BPF_MAP_GET_NEXT_ID, id));) {
		struct bpf_map_info info = { 0 };
		close(opened(BPF_MAP_GET_FD_BY_ID, id, &info, sizeof(info)));
		printf("map %u %u %s %u %u %u\n", id, info.type, info.name, info.key_size,
		       info.value_size, info.max_entries);
	}
	for (uint32_t id = 0; (id = next(BPF_LINK_GET_NEXT_ID, id));) {
		struct bpf_link_info info = { 0 };
		close(opened(BPF_LINK_GET_FD_BY_ID, id, &info, sizeof(info)));
		printf("link %u %u %u\n", id, info.type, info.prog_id);
	}
	printf("ready\n");
	fflush(stdout);
}

int main(int count, char *arguments[])
{
	int sockets[2], filter = load(BPF_PROG_TYPE_SOCKET_FILTER, "kioku_filter", 0);

	if (count < 2 || socketpair(AF_UNIX, SOCK_DGRAM, 0, sockets) ||
	    setsockopt(sockets[0], SOL_SOCKET, SO_ATTACH_BPF, &filter, sizeof(filter)))
		return 1;
	make_map(BPF_MAP_TYPE_ARRAY, "kioku_array", 8, 4);
	make_map(BPF_MAP_TYPE_HASH, "kioku_hash", 16, 64);
	link_to_cgroup(arguments[1],
		       load(BPF_PROG_TYPE_CGROUP_SKB, "kioku_cgroup", BPF_CGROUP_INET_INGRESS));
	say_all();
	for (;;)
		pause();
}
