// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading a page must not end the machine. It lies in System RAM (so no device answers, and no
 * memory that firmware or a trusted world keeps, which is "reserved" there), is online, is in no
 * balloon, has no known memory error and is accepted; whatever goes wrong nevertheless (a hole in
 * the direct map: memfd_secret, KFENCE, page allocation debugging, stage 2 faults) is an exception
 * that the copy survives.
 */
#include <linux/ioport.h>
#include <linux/jiffies.h>
#include <linux/memory.h>
#include <linux/memory_hotplug.h>
#include <linux/notifier.h>
#include <linux/rcupdate.h>

#include "compat.h"
#include "memory.h"

/* What is copied between two looks at the clock. */
#define PIECE 512

/* --- where RAM is */

static int take_range(struct resource *resource, void *user)
{
	struct ram_range *out = user;

	out->start = resource->start;
	out->last = resource->end;
	return 1;
}

/*
 * Asked anew each time, under the lock of the resource tree: nothing is kept that grows with
 * memory, and no range has to stay where it was. Also finds RAM below other resources, and the
 * kernel's own parts only as parts of the RAM around them.
 */
bool ram_next(u64 from, struct ram_range *out)
{
	return walk_iomem_res_desc(IORES_DESC_NONE, IORESOURCE_SYSTEM_RAM | IORESOURCE_BUSY, from,
				   PHYS_ADDR_MAX, out, take_range) == 1;
}

/* --- memory that goes away */

/*
 * A page that was online when a reader looked has its struct page and its place in the direct map
 * until MEM_OFFLINE has returned; afterwards no reader finds it online.
 */
static int notice_hotplug(struct notifier_block *block, unsigned long action, void *data)
{
	if (action == MEM_OFFLINE)
		synchronize_rcu();
	return NOTIFY_OK;
}

static struct notifier_block hotplug_block = { .notifier_call = notice_hotplug };

int memory_init(void)
{
	return register_memory_notifier(&hotplug_block);
}

void memory_exit(void)
{
	unregister_memory_notifier(&hotplug_block);
}

/* --- pages */

static enum kioku_device_page state_of(struct page *page)
{
	if (!page || PageOffline(page))
		return KIOKU_PAGE_OFFLINE;
	/* Of a huge page the kernel may mark the first page only. */
	if (PageHWPoison(page) || PageHWPoison(compound_head(page)))
		return KIOKU_PAGE_POISONED;
	switch (compat_acceptance(page)) {
	case COMPAT_UNACCEPTED: return KIOKU_PAGE_UNACCEPTED;
	case COMPAT_UNKNOWN: return KIOKU_PAGE_PROTECTED;
	case COMPAT_ACCEPTED: break;
	}
	return KIOKU_PAGE_READABLE;
}

enum kioku_device_page memory_state(u64 physical)
{
	enum kioku_device_page state;

	rcu_read_lock();
	state = state_of(pfn_to_online_page(PHYS_PFN(physical)));
	rcu_read_unlock();
	return state;
}

static bool copy_safely(void *out, const void *in, size_t size)
{
	if (compat_has_copy_mc())
		return compat_copy_mc(out, in, size) == 0;
	return compat_copy_nofault(out, in, size) == 0;
}

static enum kioku_device_page copy_pieces(void *out, const void *in, size_t size,
					  unsigned long timeout)
{
	unsigned long begin = jiffies;
	size_t done, part;

	for (done = 0; done < size; done += part) {
		if (timeout && time_after(jiffies, begin + timeout))
			return KIOKU_PAGE_TIMED_OUT;
		part = min_t(size_t, size - done, PIECE);
		if (!copy_safely(out + done, in + done, part))
			return KIOKU_PAGE_FAULTED;
	}
	return KIOKU_PAGE_READABLE;
}

enum kioku_device_page memory_read(u64 physical, void *out, size_t size, unsigned long timeout)
{
	enum kioku_device_page state;
	struct page *page;
	void *mapped;

	rcu_read_lock();
	page = pfn_to_online_page(PHYS_PFN(physical));
	state = state_of(page);
	if (state == KIOKU_PAGE_READABLE) {
		mapped = compat_map(page);
		pagefault_disable();
		state = copy_pieces(out, compat_untagged(mapped) + offset_in_page(physical), size,
				    timeout);
		pagefault_enable();
		compat_unmap(mapped);
	}
	rcu_read_unlock();
	return state;
}
