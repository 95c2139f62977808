/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lines of /proc/net as kernels print them. */
#include "base/scan.h"
#include "base/url.h"
#include "format/sockets_format.h"
#include "tap.h"

static void decodes_internet_sockets(void)
{
	struct socket_line socket;
	char text[SOCKET_ADDRESS_TEXT];

	CHECK(socket_line_decode(
		bytes_of_text("   0: 0100007F:1F90 0200A8C0:01BB 01 00000000:00000000 00:00000000 "
			      "00000000  1000        0 4711 1 000000007a869821 100 0 0 10 0   "),
		SOCKET_INET, &socket));
	CHECK_EQUAL(socket.inode, 4711);
	CHECK_SAYS(socket_tcp_state(socket.state), "established");
	socket_address_text(&socket.local, text);
	CHECK_SAYS(text, "127.0.0.1:8080");
	socket_address_text(&socket.remote, text);
	CHECK_SAYS(text, "192.168.0.2:443");
	CHECK(socket_line_decode(
		bytes_of_text("  10: B80D0120000000000000000001000000:0016 "
			      "00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 7"),
		SOCKET_INET, &socket));
	socket_address_text(&socket.local, text);
	CHECK_SAYS(text, "[2001:db8::1]:22");
	CHECK(!socket_tcp_state(0) && !socket_tcp_state(14) && socket_tcp_state(13));
}

static void decodes_others(void)
{
	struct socket_line socket;

	CHECK(socket_line_decode(
		bytes_of_text(
			"0000000085b09a1e: 00000002 00000000 00010000 0005 01  1591  /run/a b "),
		SOCKET_UNIX, &socket));
	CHECK(socket.inode == 1591 && socket.is_listening && socket.type == SOCK_SEQPACKET);
	CHECK(bytes_equal(socket.path, bytes_of_text(" /run/a b ")));
	CHECK(socket_line_decode(
		bytes_of_text("00000000f3649634: 00000003 00000000 00000000 0001 03  1592"),
		SOCKET_UNIX, &socket));
	CHECK(socket.path.size == 0 && !socket.is_listening && socket.state == 3);
	CHECK(socket_line_decode(bytes_of_text("0000000084e217fc 15  4294963205 00000000 0 0 0 2 0 "
					       "1504    "),
				 SOCKET_NETLINK, &socket));
	CHECK(socket.protocol == 15 && socket.port == 4294963205 && socket.inode == 1504);
	CHECK(socket_line_decode(
		bytes_of_text("84e217fc 3      3    88cc   2     1 0      0      9 "),
		SOCKET_PACKET, &socket));
	CHECK(socket.type == SOCK_RAW && socket.protocol == 0x88cc && socket.interface == 2);
	CHECK_EQUAL(socket.inode, 9);
}

static void refuses_other_lines(void)
{
	static const char *const lines[] = {
		"",
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when",
		"   0: 0100007F:1F90 0200A8C0:01BB 01 0:0 00:0 0 0 0",
		"   0: 0100007F:1F9 0200A8C0:01BB 01 0:0 00:0 0 0 0 5",
		"   0: 0100007G:1F90 0200A8C0:01BB 01 0:0 00:0 0 0 0 5",
		"   0: 0100007F:1F90 0200A8C0:01BB 01 0:0 00:0 0 0 0 99999999999999999999",
	};
	struct socket_line socket;

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		for (int form = SOCKET_INET; form <= SOCKET_PACKET; form++)
			CHECK(!socket_line_decode(bytes_of_text(lines[i]), (enum socket_form)form,
						  &socket));
}

TAP_MAIN(TEST(decodes_internet_sockets), TEST(decodes_others), TEST(refuses_other_lines))
