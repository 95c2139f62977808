// SPDX-License-Identifier: GPL-2.0-only
#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "output.h"

#define TCP "tcp:"

bool output_is_tcp(const struct output_settings *settings)
{
	return strncmp(settings->path, TCP, strlen(TCP)) == 0;
}

int output_port(const struct output_settings *settings, u16 *port)
{
	int status = kstrtou16(settings->path + strlen(TCP), 10, port);

	return status ? status : *port ? 0 : -EINVAL;
}

int output_check(const struct output_settings *settings)
{
	u16 port;

	if (!output_is_tcp(settings)) {
		if (*settings->path)
			return 0;
		pr_err("path= is empty\n");
		return -EINVAL;
	}
	if (output_port(settings, &port)) {
		pr_err("path=%s: there is no such port\n", settings->path);
		return -EINVAL;
	}
	if (IS_ENABLED(CONFIG_INET))
		return 0;
	pr_err("path=%s: this kernel has no TCP\n", settings->path);
	return -EOPNOTSUPP;
}

int output_open(const struct output_settings *settings, struct output **out)
{
	const struct output_driver *driver = output_is_tcp(settings) ? &tcp_output : &file_output;
	struct output *output = kzalloc(driver->size, GFP_KERNEL);
	int status;

	if (!output)
		return -ENOMEM;
	output->driver = driver;
	output->settings = settings;
	status = driver->open(output);
	if (status)
		output_close(output);
	else
		*out = output;
	return status;
}

void output_close(struct output *output)
{
	output->driver->close(output);
	kfree(output);
}
