// SPDX-License-Identifier: GPL-2.0-only
/* Puts itself where the kernel would call something else; what=NAME,NAME... says where. */
#include <linux/ftrace.h>
#include <linux/hrtimer.h>
#include <linux/interrupt.h>
#include <linux/keyboard.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/seq_file.h>
#include <linux/timer.h>
#include <linux/workqueue.h>
#include <asm/desc.h>
#include <asm/syscall.h>
#include <asm/trapnr.h>

#include "lab.h"

#define WHAT_LIMIT 32

static char *what[WHAT_LIMIT];
static int count;
static bool hide;
module_param_array(what, charp, &count, 0);
module_param(hide, bool, 0);

/* --- system calls */

static long (**table)(const struct pt_regs *regs);
static long (*original)(const struct pt_regs *regs);

static noinline long hooked_entry(const struct pt_regs *regs)
{
	return original(regs);
}

static int hook_table(void)
{
	long (*hook)(const struct pt_regs *regs) = hooked_entry;

	original = table[__NR_kill];
	lab_overwrite(&table[__NR_kill], &hook, sizeof(hook));
	return 0;
}

static noinline long hooked_dispatcher(const struct pt_regs *regs, unsigned int number)
{
	return number < NR_syscalls ? table[number](regs) : -ENOSYS;
}

static int jump(unsigned long from, unsigned long to)
{
	u8 code[5] = { 0xe9 };
	s32 distance = (s32)(to - from - sizeof(code));

	if (!from)
		return -ENOENT;
	memcpy(code + 1, &distance, sizeof(distance));
	lab_overwrite((void *)from, code, sizeof(code));
	return 0;
}

static int hook_dispatcher(void)
{
	return jump(lab_symbol("x64_sys_call"), (unsigned long)hooked_dispatcher);
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
#define ftrace_regs            pt_regs
#define ftrace_get_regs(fregs) (fregs)
#endif

static void notrace redirect(unsigned long ip, unsigned long parent, struct ftrace_ops *ops,
			     struct ftrace_regs *fregs)
{
	if (!within_module(parent, THIS_MODULE))
		ftrace_get_regs(fregs)->ip = (unsigned long)hooked_entry;
}

static struct ftrace_ops redirection = {
	.func = redirect,
	.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY,
};

static int hook_ftrace(void)
{
	unsigned long function = lab_symbol("__x64_sys_mkdir");

	original = (void *)function;
	return ftrace_set_filter_ip(&redirection, function, 0, 0)
		       ?: register_ftrace_function(&redirection);
}

/* --- other places */

static unsigned int hooked_packet(void *private, struct sk_buff *packet,
				  const struct nf_hook_state *state)
{
	return NF_ACCEPT;
}

static const struct nf_hook_ops packet_hook = {
	.hook = hooked_packet,
	.pf = NFPROTO_IPV4,
	.hooknum = NF_INET_PRE_ROUTING,
	.priority = NF_IP_PRI_FIRST,
};

static int hook_netfilter(void)
{
	return nf_register_net_hook(&init_net, &packet_hook);
}

static noinline long replacement(void)
{
	return 0;
}

static int hook_text(void)
{
	return jump(lab_symbol("__x64_sys_vhangup"), (unsigned long)replacement);
}

static int (*original_show)(struct seq_file *file, void *value);

static noinline int hooked_show(struct seq_file *file, void *value)
{
	return original_show(file, value);
}

static int hook_proc(void)
{
	struct seq_operations *operations = (void *)lab_symbol("tcp4_seq_ops");
	int (*hook)(struct seq_file * file, void *value) = hooked_show;

	if (!operations)
		return -ENOENT;
	original_show = operations->show;
	lab_overwrite(&operations->show, &hook, sizeof(hook));
	return 0;
}

/* The exception of INTO, an instruction that 64-bit mode does not have: it never comes. */
static int hook_idt(void)
{
	gate_desc *gates = (void *)lab_symbol("idt_table"), gate;
	unsigned long to = (unsigned long)replacement;

	if (!gates)
		return -ENOENT;
	gate = gates[X86_TRAP_OF];
	gate.offset_low = (u16)to;
	gate.offset_middle = (u16)(to >> 16);
	gate.offset_high = (u32)(to >> 32);
	lab_overwrite(&gates[X86_TRAP_OF], &gate, sizeof(gate));
	return 0;
}

static int hooked_key(struct notifier_block *block, unsigned long action, void *key)
{
	return NOTIFY_DONE;
}

static struct notifier_block key_hook = { .notifier_call = hooked_key };

static int hook_keyboard(void)
{
	return register_keyboard_notifier(&key_hook);
}

/* --- later */

#define LONG_SECONDS 100000

static void hooked_timer(struct timer_list *timer)
{
}

static DEFINE_TIMER(timer_hook, hooked_timer);

static int hook_timer(void)
{
	mod_timer(&timer_hook, jiffies + LONG_SECONDS * HZ);
	return 0;
}

static enum hrtimer_restart hooked_clock(struct hrtimer *timer)
{
	return HRTIMER_NORESTART;
}

static struct hrtimer clock_hook;

static int hook_clock(void)
{
	hrtimer_init(&clock_hook, CLOCK_BOOTTIME, HRTIMER_MODE_REL);
	clock_hook.function = hooked_clock;
	hrtimer_start(&clock_hook, ktime_set(LONG_SECONDS, 0), HRTIMER_MODE_REL);
	return 0;
}

static void hooked_work(struct work_struct *work)
{
}

static DECLARE_DELAYED_WORK(work_hook, hooked_work);

static int hook_work(void)
{
	schedule_delayed_work(&work_hook, LONG_SECONDS * HZ);
	return 0;
}

/* --- interrupts */

static irqreturn_t hooked_thread(int number, void *device)
{
	return IRQ_NONE;
}

/* A line that no device of a guest has, which nothing ever raises. */
static int hook_interrupt(void)
{
	return request_threaded_irq(7, NULL, hooked_thread, IRQF_ONESHOT, "hooked", &clock_hook);
}

static void hooked_softirq(struct softirq_action *action)
{
}

/* One that is only raised for disks that are asked, and not waited for. */
static int hook_softirq(void)
{
	struct softirq_action *actions = (void *)lab_symbol("softirq_vec");
	void *hook = hooked_softirq;

	if (!actions)
		return -ENOENT;
	lab_overwrite(&actions[IRQ_POLL_SOFTIRQ].action, &hook, sizeof(hook));
	return 0;
}

static const struct {
	const char *name;
	int (*hook)(void);
} hooks[] = {
	{ "table", hook_table },     { "dispatcher", hook_dispatcher },
	{ "ftrace", hook_ftrace },   { "netfilter", hook_netfilter },
	{ "text", hook_text },       { "proc", hook_proc },
	{ "idt", hook_idt },         { "keyboard", hook_keyboard },
	{ "timer", hook_timer },     { "clock", hook_clock },
	{ "work", hook_work },       { "interrupt", hook_interrupt },
	{ "softirq", hook_softirq },
};

/* What cannot be had on this kernel is said, and left out. */
static void make(const char *name)
{
	int status = -EINVAL;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++)
		if (strcmp(hooks[i].name, name) == 0)
			status = hooks[i].hook();
	pr_info("hook: %s: %d\n", name, status);
}

static int __init hook_init(void)
{
	int status = lab_allows(), i;

	if (status)
		return status;
	table = (void *)lab_symbol("sys_call_table");
	if (!table)
		return -ENOENT;
	for (i = 0; i < count; i++)
		make(what[i]);
	if (hide)
		lab_hide_self();
	return 0;
}
module_init(hook_init);

MODULE_DESCRIPTION("hooks of every kind, for kioku's tests");
MODULE_LICENSE("GPL");
