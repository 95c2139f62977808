// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ends the machine that it is loaded into, in ways that are known: writing to /proc/kioku_crash "null" follows a
 * pointer that is none, and "hang" sleeps and cannot be woken. It refuses to load unless the kernel's command
 * line has kioku.lab=1.
 */
#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <linux/version.h>

static bool is_lab(void)
{
	static char line[2048];
	struct file *file = filp_open("/proc/cmdline", O_RDONLY, 0);
	loff_t position = 0;
	ssize_t size;

	if (IS_ERR(file))
		return false;
	size = kernel_read(file, line, sizeof(line) - 1, &position);
	filp_close(file, NULL);
	return size > 0 && strstr(line, "kioku.lab=1");
}

/* The functions are apart, so that a trace shows them. */
static noinline void crash_here(int *where)
{
	WRITE_ONCE(*where, 1);
}

static noinline void crash_deeper(int *where)
{
	crash_here(where);
	barrier();
}

static noinline void crash_hang(void)
{
	for (;;) {
		set_current_state(TASK_UNINTERRUPTIBLE);
		schedule();
	}
}

static ssize_t crash_write(struct file *file, const char __user *from, size_t size,
			   loff_t *position)
{
	char word[8] = "";

	if (copy_from_user(word, from, min(size, sizeof(word) - 1)))
		return -EFAULT;
	if (!strncmp(word, "null", 4))
		crash_deeper((int *)0x10);
	else if (!strncmp(word, "hang", 4))
		crash_hang();
	return size;
}

#if LINUX_VERSION_CODE >= KERNEL_VERSION(5, 6, 0)
static const struct proc_ops operations = { .proc_write = crash_write };
#else
static const struct file_operations operations = { .write = crash_write };
#endif

static int __init crash_init(void)
{
	if (!is_lab()) {
		pr_err("kioku_crash: only for guests with kioku.lab=1\n");
		return -EPERM;
	}
	return proc_create("kioku_crash", 0200, NULL, &operations) ? 0 : -ENOMEM;
}
module_init(crash_init);

static void __exit crash_exit(void)
{
	remove_proc_entry("kioku_crash", NULL);
}
module_exit(crash_exit);

MODULE_DESCRIPTION("crashes guests of the lab");
MODULE_LICENSE("GPL");
