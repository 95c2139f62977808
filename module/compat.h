/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * All that differs between kernels. Developed for 5.10 to 7.x; nothing older than 5.5 is meant to
 * build (security_locked_down(), compat_ptr_ioctl(), %pe).
 */
#ifndef KIOKU_COMPAT_H
#define KIOKU_COMPAT_H

#include <linux/bvec.h>
#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/net.h>
#include <linux/page-flags.h>
#include <linux/socket.h>
#include <linux/uaccess.h>
#include <linux/uio.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 16, 0)
#include <linux/cc_platform.h>
#endif

/* 6.12 moved it. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#include <linux/unaligned.h>
#else
#include <asm/unaligned.h>
#endif

/* 5.11 has kmap_local_page(); what it replaces is fine for a copy that never sleeps, too. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 11, 0)
#define compat_map(page) kmap_local_page(page)
#define compat_unmap(at) kunmap_local(at)
#else
#define compat_map(page) kmap_atomic(page)
#define compat_unmap(at) kunmap_atomic(at)
#endif

/*
 * Where KASAN has the CPU compare tags (arm64 with MTE, since 5.11), free memory has one that no
 * pointer to its page has, and a copy that survives faults fails. Kernel pointers without a tag may
 * read everything.
 */
#ifdef CONFIG_KASAN_HW_TAGS
#include <linux/kasan.h>
#define compat_untagged(at) kasan_reset_tag(at)
#else
#define compat_untagged(at) (at)
#endif

/* 5.8 renamed probe_kernel_read(). */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 8, 0)
#define compat_copy_nofault(out, in, size) copy_from_kernel_nofault(out, in, size)
#else
#define compat_copy_nofault(out, in, size) probe_kernel_read(out, in, size)
#endif

/*
 * Whether copy_mc_to_kernel() survives a memory error that nobody has seen yet, and faults as well:
 * of x86 since 5.10 on CPUs with ERMS; on others it may be a plain memcpy(). Since 6.10 it asks
 * KASAN and KMSAN about the source, which free memory is not for.
 */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 10, 0) && defined(CONFIG_X86_64) &&                 \
	defined(CONFIG_ARCH_HAS_COPY_MC) && !defined(CONFIG_KASAN) && !defined(CONFIG_KMSAN) && \
	!defined(CONFIG_KCSAN)
#include <asm/cpufeature.h>
#define compat_has_copy_mc()          boot_cpu_has(X86_FEATURE_ERMS)
#define compat_copy_mc(out, in, size) copy_mc_to_kernel(out, in, size)
#else
#define compat_has_copy_mc()          false
#define compat_copy_mc(out, in, size) ((unsigned long)(size))
#endif

enum compat_acceptance {
	COMPAT_ACCEPTED,
	COMPAT_UNACCEPTED,
	COMPAT_UNKNOWN,
};

/*
 * A confidential guest that touches memory it has not accepted is ended. 6.12 marks such memory, by
 * its first page of the largest order; from 6.5 on it is free memory like any other to see, so that
 * no free page may be touched.
 */
static inline enum compat_acceptance compat_acceptance(struct page *page)
{
#if defined(CONFIG_UNACCEPTED_MEMORY) && LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	if (!cc_platform_has(CC_ATTR_GUEST_MEM_ENCRYPT))
		return COMPAT_ACCEPTED;
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
	if (PageUnaccepted(pfn_to_page(ALIGN_DOWN(page_to_pfn(page), MAX_ORDER_NR_PAGES))))
		return COMPAT_UNACCEPTED;
#else
	if (page_count(page) == 0)
		return COMPAT_UNKNOWN;
#endif
#endif
	return COMPAT_ACCEPTED;
}

/* 6.2 gave the direction names. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
#define COMPAT_ITER_SOURCE ITER_SOURCE
#else
#define COMPAT_ITER_SOURCE WRITE
#endif

/* 6.8 has it in vfs_iter_write(). */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 8, 0)
#define compat_start_write(file)
#define compat_end_write(file)
#else
#include <linux/fs.h>
#define compat_start_write(file) file_start_write(file)
#define compat_end_write(file)   file_end_write(file)
#endif

/*
 * Sends bytes of a page, which may be a compound one, without copying them where the device can do
 * that. How many, or a negative errno. 6.5 has sendmsg() do what sendpage() was for.
 */
static inline int compat_send(struct socket *socket, struct page *page, size_t offset, size_t size)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	struct bio_vec vector = { .bv_page = page, .bv_len = size, .bv_offset = offset };
	struct msghdr message = { .msg_flags = MSG_SPLICE_PAGES | MSG_NOSIGNAL };

	iov_iter_bvec(&message.msg_iter, ITER_SOURCE, &vector, 1, size);
	return sock_sendmsg(socket, &message);
#else
	return kernel_sendpage(socket, page, offset, size, MSG_NOSIGNAL);
#endif
}

/* 6.19 says that an address may be larger than its type. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 19, 0)
#define compat_sockaddr sockaddr_unsized
#else
#define compat_sockaddr sockaddr
#endif

#endif
