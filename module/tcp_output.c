// SPDX-License-Identifier: GPL-2.0-only
/* A dump to whoever connects: one connection for each part. */
#include <linux/delay.h>
#include <linux/in.h>
#include <linux/kernel.h>
#include <linux/net.h>
#include <linux/printk.h>
#include <linux/sched/signal.h>
#include <linux/tcp.h>
#include <net/sock.h>
#include <net/tcp_states.h>

#include "compat.h"
#include "output.h"

struct tcp_state {
	struct output output;
	struct socket *listener, *client;
};

#ifdef CONFIG_INET

static struct tcp_state *state_of(struct output *output)
{
	return container_of(output, struct tcp_state, output);
}

static int listen_at(struct tcp_state *state)
{
	const struct output_settings *settings = state->output.settings;
	struct sockaddr_in address = { .sin_family = AF_INET };
	u16 port;
	int status = output_port(settings, &port);

	if (status)
		return status;
	address.sin_port = htons(port);
	address.sin_addr.s_addr = htonl(settings->local ? INADDR_LOOPBACK : INADDR_ANY);
	state->listener->sk->sk_reuse = SK_CAN_REUSE;
	status = kernel_bind(state->listener, (struct compat_sockaddr *)&address, sizeof(address));
	return status ? status : kernel_listen(state->listener, 1);
}

static int tcp_open(struct output *output)
{
	struct tcp_state *state = state_of(output);
	/* Of the process: a socket of the kernel would not keep its network namespace. */
	int status = sock_create(AF_INET, SOCK_STREAM, IPPROTO_TCP, &state->listener);

	if (status)
		return status;
	status = listen_at(state);
	if (status)
		return status;
	pr_warn("listening at %s: the connection is neither encrypted nor authenticated, whoever "
		"connects first gets this machine's memory\n",
		output->settings->path);
	return 0;
}

static int tcp_begin(struct output *output, const char *suffix)
{
	struct tcp_state *state = state_of(output);
	unsigned int timeout = output->settings->accept_timeout;
	int status;

	state->listener->sk->sk_rcvtimeo =
		timeout ? max_t(long, msecs_to_jiffies(timeout), 1) : MAX_SCHEDULE_TIMEOUT;
	status = kernel_accept(state->listener, &state->client, 0);
	if (status == -EAGAIN)
		status = -ETIMEDOUT;
	return status;
}

/*
 * The pages themselves: nothing is copied, and they stay as they are until all of them has been
 * acknowledged (buffer_restart()), so that what is sent once more is the same.
 */
static int tcp_write(struct output *output, const void *data, size_t size)
{
	struct tcp_state *state = state_of(output);
	struct page *page = virt_to_head_page(data);
	size_t offset = data - page_address(page);
	int got;

	while (size > 0) {
		got = compat_send(state->client, page, offset, size);
		if (got <= 0)
			return got < 0 ? got : -EPIPE;
		offset += got;
		size -= got;
	}
	return 0;
}

/*
 * Until the other side has acknowledged every byte: a dump that was cut off shortly before its end
 * must not look complete. TCP itself gives up on a side that is silent.
 */
static int wait_acknowledged(struct socket *client)
{
	int state;

	for (;;) {
		state = READ_ONCE(client->sk->sk_state);
		if (state == TCP_CLOSE)
			return sock_error(client->sk);
		if (state != TCP_FIN_WAIT1 && state != TCP_CLOSING && state != TCP_LAST_ACK)
			return 0;
		if (msleep_interruptible(5))
			return -EINTR;
	}
}

static int tcp_end(struct output *output)
{
	struct tcp_state *state = state_of(output);
	int status = kernel_sock_shutdown(state->client, SHUT_WR);

	if (status == 0)
		status = wait_acknowledged(state->client);
	sock_release(state->client);
	state->client = NULL;
	return status;
}

static void tcp_close(struct output *output)
{
	struct tcp_state *state = state_of(output);

	if (state->client)
		sock_release(state->client);
	if (state->listener)
		sock_release(state->listener);
}

#else

/* output_check() does not let anybody come here. */
static int tcp_open(struct output *output)
{
	return -EOPNOTSUPP;
}

static void tcp_close(struct output *output)
{
}

#define tcp_begin NULL
#define tcp_write NULL
#define tcp_end   NULL

#endif

const struct output_driver tcp_output = {
	.size = sizeof(struct tcp_state),
	.open = tcp_open,
	.begin = tcp_begin,
	.write = tcp_write,
	.end = tcp_end,
	.close = tcp_close,
};
