// SPDX-License-Identifier: GPL-2.0-only
/* Puts itself where the kernel would call something else; what=NAME,NAME... says where. */
#include <linux/ftrace.h>
#include <linux/hrtimer.h>
#include <linux/input.h>
#include <linux/interrupt.h>
#include <linux/keyboard.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/timer.h>
#include <linux/tty.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>
#include <net/sock.h>
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

/* --- what memory that can be written to leads to */

/*
 * The word of value want in the entry of /proc that an open file is of, which an inode has a pointer to before it; both
 * structs are private to the kernel (fs/proc/internal.h).
 */
static void *find_in_entry(const char *path, unsigned long want)
{
	struct file *file = want ? filp_open(path, O_RDONLY, 0) : NULL;
	unsigned long *found = NULL, *entry, value;
	long i, j;

	if (IS_ERR_OR_NULL(file))
		return NULL;
	for (i = 1; i <= 16 && !found; i++) {
		if (copy_from_kernel_nofault(&entry, (unsigned long *)file_inode(file) - i,
					     sizeof(entry)))
			break;
		for (j = 0; j < 32 && virt_addr_valid(entry) && !found; j++)
			if (copy_from_kernel_nofault(&value, entry + j, sizeof(value)) == 0 &&
			    value == want)
				found = entry + j;
	}
	filp_close(file, NULL);
	return found;
}

static int (*original_open)(struct inode *inode, struct file *file);

static noinline int hooked_open(struct inode *inode, struct file *file)
{
	return original_open(inode, file);
}

static struct proc_ops file_operations;

static int hook_file(void)
{
	struct proc_ops *original = (void *)lab_symbol("modules_proc_ops"),
			*operations = &file_operations;
	void *place = find_in_entry("/proc/modules", (unsigned long)original);

	if (!place)
		return -ENOENT;
	file_operations = *original;
	original_open = original->proc_open;
	file_operations.proc_open = hooked_open;
	lab_overwrite(place, &operations, sizeof(operations));
	return 0;
}

static int (*original_row)(struct seq_file *file, void *value);

static noinline int hooked_row(struct seq_file *file, void *value)
{
	return original_row(file, value);
}

static struct seq_operations sequence;

static int hook_sequence(void)
{
	struct seq_operations *original = (void *)lab_symbol("udp_seq_ops"),
			      *operations = &sequence;
	void *place = find_in_entry("/proc/net/udp", (unsigned long)original);

	if (!place)
		return -ENOENT;
	sequence = *original;
	original_row = original->show;
	sequence.show = hooked_row;
	lab_overwrite(place, &operations, sizeof(operations));
	return 0;
}

static void (*original_shutdown)(struct sock *sock, int how);

static noinline void hooked_shutdown(struct sock *sock, int how)
{
	original_shutdown(sock, how);
}

static int hook_protocol(void)
{
	struct proto *protocol = (void *)lab_symbol("tcp_prot");
	void (*hook)(struct sock * sock, int how) = hooked_shutdown;

	if (!protocol)
		return -ENOENT;
	original_shutdown = protocol->shutdown;
	lab_overwrite(&protocol->shutdown, &hook, sizeof(hook));
	return 0;
}

/* The types of its arguments and result differ between kernels, but all are in registers. */
static long (*original_receive)(void *tty, const void *bytes, const void *flags, long count);

static noinline long hooked_receive(void *tty, const void *bytes, const void *flags, long count)
{
	return original_receive(tty, bytes, flags, count);
}

static int hook_discipline(void)
{
	struct tty_ldisc_ops *operations = (void *)lab_symbol("n_tty_ops");
	void *hook = hooked_receive;

	if (!operations)
		return -ENOENT;
	original_receive = (void *)operations->receive_buf;
	lab_overwrite(&operations->receive_buf, &hook, sizeof(hook));
	return 0;
}

static void hooked_input(struct input_handle *handle, unsigned int type, unsigned int code,
			 int value)
{
}

static const struct input_device_id no_devices[] = { {} };
static struct input_handler input_hook = {
	.name = "hook",
	.event = hooked_input,
	.id_table = no_devices,
};

static int hook_input(void)
{
	return input_register_handler(&input_hook);
}

/* kill(), which 32-bit programs know as 37. */
static int hook_table32(void)
{
	void **table32 = (void *)lab_symbol("ia32_sys_call_table"), *hook = hooked_entry;

	if (!table32)
		return -ENOENT;
	lab_overwrite(&table32[37], &hook, sizeof(hook));
	return 0;
}

static int hook_writable(void)
{
	int (*permit)(unsigned long address, int pages) = (void *)lab_symbol("set_memory_x");
	void *page = vmalloc(PAGE_SIZE);

	return permit && page ? permit((unsigned long)page, 1) : -ENOENT;
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
	{ "table", hook_table },
	{ "dispatcher", hook_dispatcher },
	{ "ftrace", hook_ftrace },
	{ "netfilter", hook_netfilter },
	{ "text", hook_text },
	{ "proc", hook_proc },
	{ "idt", hook_idt },
	{ "keyboard", hook_keyboard },
	{ "file", hook_file },
	{ "sequence", hook_sequence },
	{ "protocol", hook_protocol },
	{ "discipline", hook_discipline },
	{ "input", hook_input },
	{ "table32", hook_table32 },
	{ "writable", hook_writable },
	{ "timer", hook_timer },
	{ "clock", hook_clock },
	{ "work", hook_work },
	{ "interrupt", hook_interrupt },
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
