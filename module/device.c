// SPDX-License-Identifier: GPL-2.0-only
#include <linux/capability.h>
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/sched/signal.h>
#include <linux/security.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "device.h"
#include "memory.h"

#define STATES_AT_ONCE 256

/* One open file. */
struct session {
	struct mutex lock;      /* of the rest */
	struct ram_range range; /* that was read last; start is behind last before that */
	u8 *page;
};

static int device_open(struct inode *inode, struct file *file)
{
	struct session *session;
	int status;

	if (file->f_mode & FMODE_WRITE)
		return -EPERM;
	if (!capable(CAP_SYS_RAWIO))
		return -EPERM;
	/* It may have been locked down since the module was loaded. */
	status = security_locked_down(LOCKDOWN_KCORE);
	if (status)
		return status;
	session = kzalloc(sizeof(*session), GFP_KERNEL);
	if (!session)
		return -ENOMEM;
	session->page = (u8 *)__get_free_page(GFP_KERNEL);
	if (!session->page) {
		kfree(session);
		return -ENOMEM;
	}
	mutex_init(&session->lock);
	session->range.start = 1;
	file->private_data = session;
	return 0;
}

static int device_release(struct inode *inode, struct file *file)
{
	struct session *session = file->private_data;

	free_page((unsigned long)session->page);
	kfree(session);
	return 0;
}

/* Whether an address is in RAM; then session->range has it. */
static bool find_range(struct session *session, u64 physical)
{
	struct ram_range *range = &session->range;

	if (physical >= range->start && physical <= range->last)
		return true;
	if (ram_next(physical, range) && range->start == physical)
		return true;
	range->start = 1;
	range->last = 0;
	return false;
}

/* Bytes of one page. How many, or a negative errno. */
static ssize_t read_part(struct session *session, u64 physical, char __user *out, size_t size)
{
	size_t part;

	if (!find_range(session, physical))
		return -EFAULT;
	part = min_t(u64, size, session->range.last - physical + 1);
	part = min_t(size_t, part, PAGE_SIZE - offset_in_page(physical));
	if (memory_read(physical, session->page, part, 0) != KIOKU_PAGE_READABLE)
		return -EFAULT;
	return copy_to_user(out, session->page, part) ? -EFAULT : (ssize_t)part;
}

/* Up to the first page that cannot be had. */
static ssize_t device_read(struct file *file, char __user *out, size_t size, loff_t *offset)
{
	struct session *session = file->private_data;
	size_t done = 0;
	ssize_t got = 0;

	if (mutex_lock_interruptible(&session->lock))
		return -ERESTARTSYS;
	while (done < size) {
		got = signal_pending(current)
			      ? -EINTR
			      : read_part(session, *offset + done, out + done, size - done);
		if (got < 0)
			break;
		done += got;
		cond_resched();
	}
	mutex_unlock(&session->lock);
	*offset += done;
	return done ? (ssize_t)done : got;
}

static long list_ranges(struct kioku_device_ranges __user *user)
{
	struct kioku_device_ranges request;
	struct kioku_device_range range = {};
	struct ram_range found = {};
	u64 from = 0;

	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	request.count = 0;
	while (ram_next(from, &found)) {
		struct kioku_device_range __user *out = u64_to_user_ptr(request.ranges);

		range.start = found.start;
		range.last = found.last;
		if (request.count < request.capacity &&
		    copy_to_user(out + request.count, &range, sizeof(range)))
			return -EFAULT;
		request.count++;
		from = found.last + 1;
		if (from == 0)
			break;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return copy_to_user(user, &request, sizeof(request)) ? -EFAULT : 0;
}

/*
 * RAM that begins or ends within a page is in it nevertheless. range: as of find_range(), which
 * only knows RAM at an address and no other in its page.
 */
static enum kioku_device_page state_at(struct ram_range *range, u64 page)
{
	if (page + PAGE_SIZE - 1 < range->start || page > range->last) {
		if (!ram_next(page, range)) {
			range->start = 1;
			range->last = 0;
			return KIOKU_PAGE_NOT_RAM;
		}
		if (range->start > page + PAGE_SIZE - 1)
			return KIOKU_PAGE_NOT_RAM;
	}
	return memory_state(page);
}

static long list_states(const struct kioku_device_states __user *user)
{
	struct ram_range range = { .start = 1, .last = 0 };
	struct kioku_device_states request;
	u8 states[STATES_AT_ONCE];
	u8 __user *out;
	u32 i, used = 0;
	u64 page;

	if (copy_from_user(&request, user, sizeof(request)))
		return -EFAULT;
	if (request.count > KIOKU_DEVICE_STATES_LIMIT || request.reserved)
		return -EINVAL;
	out = u64_to_user_ptr(request.states);
	page = ALIGN_DOWN(request.physical, PAGE_SIZE);
	for (i = 0; i < request.count; i++, page += PAGE_SIZE) {
		states[used++] = state_at(&range, page);
		if (used < STATES_AT_ONCE && i + 1 < request.count)
			continue;
		if (copy_to_user(out + i + 1 - used, states, used))
			return -EFAULT;
		used = 0;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

static long say_info(struct kioku_device_info __user *user)
{
	struct kioku_device_info info = {
		.version = KIOKU_DEVICE_VERSION,
		.page_size = PAGE_SIZE,
	};

	return copy_to_user(user, &info, sizeof(info)) ? -EFAULT : 0;
}

static long device_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	void __user *user = (void __user *)argument;

	switch (command) {
	case KIOKU_DEVICE_INFO: return say_info(user);
	case KIOKU_DEVICE_RANGES: return list_ranges(user);
	case KIOKU_DEVICE_STATES: return list_states(user);
	}
	return -ENOTTY;
}

static const struct file_operations device_operations = {
	.owner = THIS_MODULE,
	.open = device_open,
	.release = device_release,
	.read = device_read,
	.llseek = no_seek_end_llseek,
	.unlocked_ioctl = device_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "kioku",
	.fops = &device_operations,
	.mode = 0400,
};

int device_offer(void)
{
	return misc_register(&device);
}

void device_withdraw(void)
{
	misc_deregister(&device);
}
