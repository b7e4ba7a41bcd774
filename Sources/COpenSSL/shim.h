// OpenSSL's ciphers: of all of libcrypto, only the interface to authenticated encryption.
#ifndef RING_OPENSSL_SHIM_H
#define RING_OPENSSL_SHIM_H

#include <openssl/evp.h>

#endif
