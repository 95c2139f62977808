/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network interfaces and who is reached by them: include/linux/netdevice.h, net/neighbour.h, 4.18 to 7.0. */
#ifndef KERNEL_NET_DEVICE_H
#define KERNEL_NET_DEVICE_H

#include "kernel/net_namespace.h"

#define NET_DEVICE_NAME  16 /* IFNAMSIZ */
#define HARDWARE_ADDRESS 32 /* MAX_ADDR_LEN */

struct net_device {
	uint64_t address; /* of the struct net_device; not a member of it */
	uint64_t list_next, namespace;
	char name[NET_DEVICE_NAME]; /* NUL-terminated unless it is as long as that */
	int32_t index;
	uint32_t flags; /* IFF_UP and others, include/uapi/linux/if.h */
	uint32_t state; /* IF_OPER_UP and others, likewise */
	uint32_t mtu, promiscuity;
	uint16_t type; /* ARPHRD_ETHER and others, include/uapi/linux/if_arp.h */
	uint8_t hardware_size;
	uint64_t hardware_address, in4, in6; /* struct in_device, inet6_dev */
};

extern const struct record net_device_record;

/* Errors: CORRUPT (that is none), UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status net_device_read(struct kioku_kernel *kernel, uint64_t address,
				  struct net_device *out);

/* Not OK: the walk stops with this status. */
typedef enum kioku_status net_device_fn(void *user, const struct net_device *device);

/* Every interface of a namespace; what is damaged is reported as a gap. Errors: receive's, UNSUPPORTED. */
enum kioku_status net_device_each(struct kioku_kernel *kernel,
				  const struct net_namespace *namespace, net_device_fn *receive,
				  void *user);

/* An address of an interface; bytes: 4 or 16 of them. Not OK: the walk stops with this status. */
typedef enum kioku_status interface_address_fn(void *user, int family, const uint8_t *bytes,
					       uint32_t prefix);

/* Errors: receive's, CORRUPT, UNSUPPORTED, UNMAPPED, ABSENT. */
enum kioku_status net_device_each_address(struct kioku_kernel *kernel,
					  const struct net_device *device,
					  interface_address_fn *receive, void *user);

struct neighbour {
	uint64_t device;
	uint32_t state; /* NUD_REACHABLE and others, include/uapi/linux/neighbour.h */
	uint8_t hardware_address[HARDWARE_ADDRESS];
	uint8_t key; /* of this only the place matters; not for receivers */
	int family;  /* AF_INET or AF_INET6 */
	uint8_t address[16];
};

/* Not OK: the walk stops with this status. */
typedef enum kioku_status neighbour_fn(void *user, const struct neighbour *neighbour);

/* All that the tables of ARP and of IPv6's neighbours have. Errors: receive's, NO_MEMORY. */
enum kioku_status neighbour_each(struct kioku_kernel *kernel, neighbour_fn *receive, void *user);

#endif
