<?php
/**
 * Plugin Name: Orderwire rep card
 * Description: Shows customers on "My account" who serves them, with a click to call or write. Needs Orderwire.
 * Version: 1.0.0
 * Requires at least: 5.7
 * Requires PHP: 7.4
 * License: Apache-2.0
 *
 * One file: copy it to wp-content/plugins/ (or mu-plugins/) and define in wp-config.php:
 *
 *     define( 'ORDERWIRE_URL', 'https://orderwire.example' );   // where browsers reach Orderwire
 *     define( 'ORDERWIRE_PORTAL', 'shop' );                     // name of the [[portal]] in Orderwire's configuration
 *     define( 'ORDERWIRE_STORE', 'shop' );                      // its `store`; leave out where users carry customer numbers
 *     define( 'ORDERWIRE_SECRET_FILE', '/etc/orderwire-secret' );
 *
 * The secret may also come from the environment variable ORDERWIRE_SECRET, or from a constant of that name. It never leaves the
 * server: what browsers get is a token for the user who is logged in, which lives for five minutes.
 *
 * A user's ERP customer number is taken from the user meta `orderwire_customer_number` (filter `orderwire_customer_number`);
 * without it the token names the user, whom Orderwire knows from orders. docs/portal.md tells more.
 */

defined( 'ABSPATH' ) || exit;

const ORDERWIRE_LIFETIME = 300;

/** Base64 as tokens have it. */
function orderwire_base64url( string $data ): string {
	return rtrim( strtr( base64_encode( $data ), '+/', '-_' ), '=' );
}

/** A token: JSON Web Token, HMAC-SHA256. */
function orderwire_token( array $claims, string $secret ): string {
	$head   = orderwire_base64url( '{"alg":"HS256","typ":"JWT"}' );
	$signed = $head . '.' . orderwire_base64url( json_encode( $claims, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE ) );
	return $signed . '.' . orderwire_base64url( hash_hmac( 'sha256', $signed, $secret, true ) );
}

/** What is claimed of this subject now. */
function orderwire_claims( string $subject, string $portal, string $audience, int $now ): array {
	return array(
		'iss' => $portal,
		'aud' => $audience,
		'sub' => $subject,
		'iat' => $now,
		'exp' => $now + ORDERWIRE_LIFETIME,
		'jti' => bin2hex( random_bytes( 16 ) ),
	);
}

/** Whether Orderwire, which knows the secret, sent this body. */
function orderwire_genuine( string $body, string $signature, string $secret ): bool {
	return hash_equals( 'sha256=' . hash_hmac( 'sha256', $body, $secret ), $signature );
}

/** A setting from wp-config.php or from the environment; '' where it is not given. */
function orderwire_setting( string $name ): string {
	return (string) ( defined( $name ) ? constant( $name ) : ( getenv( $name ) ?: '' ) );
}

/** The secret; '' where there is none, or one that is too short to be safe. */
function orderwire_secret(): string {
	$file   = orderwire_setting( 'ORDERWIRE_SECRET_FILE' );
	$secret = '' !== $file ? ( is_readable( $file ) ? trim( (string) file_get_contents( $file ) ) : '' ) : orderwire_setting( 'ORDERWIRE_SECRET' );
	return strlen( $secret ) >= 32 ? $secret : '';
}

/** Whom the token is for: the customer number of a user, or the user. '' for nobody. */
function orderwire_subject( int $user ): string {
	if ( $user <= 0 ) {
		return '';
	}
	$number = (string) apply_filters( 'orderwire_customer_number', get_user_meta( $user, 'orderwire_customer_number', true ), $user );
	$store  = orderwire_setting( 'ORDERWIRE_STORE' );
	if ( '' !== trim( $number ) ) {
		return trim( $number );
	}
	return '' !== $store ? $store . '/user/' . $user : '';
}

/** The fragment as Orderwire's server made it; '' where it cannot be had quickly. */
function orderwire_fragment( string $base, string $token ): string {
	$answer = wp_remote_get(
		$base . '/portal/card.html',
		array(
			'timeout'     => 2,
			'redirection' => 0,
			'headers'     => array(
				'Authorization'   => 'Bearer ' . $token,
				'Accept-Language' => str_replace( '_', '-', get_user_locale() ),
			),
		)
	);
	if ( is_wp_error( $answer ) || 200 !== (int) wp_remote_retrieve_response_code( $answer ) ) {
		return '';
	}
	return wp_kses( wp_remote_retrieve_body( $answer ), orderwire_allowed_html(), array( 'http', 'https', 'tel', 'mailto' ) );
}

/** All that a fragment consists of. What comes from another server is never trusted further than that. */
function orderwire_allowed_html(): array {
	$part  = array( 'part' => true );
	$plain = array_fill_keys( array( 'h2', 'h3', 'ul', 'li', 'p', 'bdi', 'label', 'details', 'summary' ), $part );
	return $plain + array(
		'section'  => $part + array( 'class' => true, 'lang' => true, 'aria-label' => true ),
		'a'        => $part + array( 'href' => true, 'aria-label' => true ),
		'img'      => $part + array_fill_keys( array( 'src', 'alt', 'width', 'height', 'loading', 'referrerpolicy' ), true ),
		'form'     => $part + array( 'method' => true, 'action' => true ),
		'input'    => $part + array_fill_keys( array( 'type', 'name', 'value', 'maxlength', 'autocomplete' ), true ),
		'textarea' => $part + array_fill_keys( array( 'name', 'rows', 'maxlength' ), true ),
		'button'   => $part + array( 'name' => true, 'value' => true ),
	);
}

/** The card on "My account": the fragment for everybody, the web component where there is JavaScript. */
function orderwire_show_card(): void {
	$secret  = orderwire_secret();
	$subject = orderwire_subject( get_current_user_id() );
	$base    = rtrim( orderwire_setting( 'ORDERWIRE_URL' ), '/' );
	if ( '' === $secret || '' === $subject || '' === $base ) {
		return;
	}
	if ( ! headers_sent() ) {
		nocache_headers();
	}
	$audience = orderwire_setting( 'ORDERWIRE_AUDIENCE' ) ?: 'orderwire';
	$portal   = orderwire_setting( 'ORDERWIRE_PORTAL' ) ?: 'shop';
	$token    = orderwire_token( orderwire_claims( $subject, $portal, $audience, time() ), $secret );
	echo '<link rel="stylesheet" href="' . esc_url( $base . '/portal/rep-card.css' ) . '">';
	echo '<script type="module" src="' . esc_url( $base . '/portal/rep-card.js' ) . '"></script>';
	echo '<orderwire-rep-card src="' . esc_url( $base . '/portal/card' ) . '" token="' . esc_attr( $token ) . '">';
	echo orderwire_fragment( $base, $token ); // Cleaned by wp_kses above.
	echo '</orderwire-rep-card>';
}

add_action( 'woocommerce_account_dashboard', 'orderwire_show_card' );
