<?php
/**
 * The plugin of deploy/woocommerce on its own: it signs as tests/fixtures/portal/tokens.json says, and shows nothing that it
 * should not. Run by `make lint` and by tests/unit/test_woocommerce_plugin.py, where there is PHP. Ends with 1 at any failure.
 */

define( 'ABSPATH', __DIR__ );
define( 'ORDERWIRE_URL', 'https://orderwire.example/' );
define( 'ORDERWIRE_STORE', 'shop' );

// As little of WordPress as the plugin asks for.
$world = array( 'user' => 55, 'meta' => '', 'answer' => array( 200, '' ), 'asked' => array(), 'hooks' => array() );
function add_action( $hook, $what ) { global $world; $world['hooks'][ $hook ] = $what; }
function apply_filters( $hook, $value ) { return $value; }
function get_user_meta() { global $world; return $world['meta']; }
function get_current_user_id() { global $world; return $world['user']; }
function get_user_locale() { return 'de_DE'; }
function nocache_headers() {}
function esc_url( $text ) { return htmlspecialchars( $text, ENT_QUOTES ); }
function esc_attr( $text ) { return htmlspecialchars( $text, ENT_QUOTES ); }
function is_wp_error() { return false; }
function wp_remote_get( $url, $how ) { global $world; $world['asked'][] = array( $url, $how ); return $world['answer']; }
function wp_remote_retrieve_response_code( $answer ) { return $answer[0]; }
function wp_remote_retrieve_body( $answer ) { return $answer[1]; }
function wp_kses( $html, $allowed, $protocols ) { return strip_tags( $html, array_keys( $allowed ) ); }

require __DIR__ . '/../../deploy/woocommerce/orderwire-rep-card.php';

$failed = 0;
function check( $what, $found, $wanted ) {
	global $failed;
	if ( $found !== $wanted ) {
		++$failed;
		fwrite( STDERR, "$what: " . var_export( $found, true ) . ' instead of ' . var_export( $wanted, true ) . "\n" );
	}
}

function shown() {
	ob_start();
	orderwire_show_card();
	return ob_get_clean();
}

function claims_in( $html ) {
	preg_match( '/token="[^".]+\.([^".]+)\.[^".]+"/', $html, $found );
	return json_decode( base64_decode( strtr( $found[1], '-_', '+/' ) ), true );
}

$vectors = json_decode( file_get_contents( __DIR__ . '/../fixtures/portal/tokens.json' ), true );
$signed  = 0;
foreach ( $vectors['tokens'] as $one ) {
	if ( is_array( $one['claims'] ) ) {
		check( $one['name'], orderwire_token( $one['claims'], $one['secret'] ), $one['token'] );
		++$signed;
	}
}
check( 'tokens were signed', $signed >= 10, true );

$answer = $vectors['answer'];
check( 'a genuine answer', orderwire_genuine( $answer['body'], $answer['signature'], $answer['secret'] ), true );
check( 'another answer', orderwire_genuine( $answer['body'] . ' ', $answer['signature'], $answer['secret'] ), false );
check( 'another secret', orderwire_genuine( $answer['body'], $answer['signature'], 'x' . $answer['secret'] ), false );

$claims = orderwire_claims( '10017', 'shop', 'orderwire', 1000 );
check( 'five minutes', array( $claims['iat'], $claims['exp'] ), array( 1000, 1300 ) );
check( 'an id of its own', orderwire_claims( '10017', 'shop', 'orderwire', 1000 )['jti'] !== $claims['jti'], true );

check( 'it hangs on My account', $world['hooks'], array( 'woocommerce_account_dashboard' => 'orderwire_show_card' ) );
putenv( 'ORDERWIRE_SECRET=short' );
check( 'a short secret shows nothing', shown(), '' );
putenv( 'ORDERWIRE_SECRET=' . $vectors['secrets'][0] );
$world['answer'] = array( 200, '<section class="orderwire-card"><p>Anna</p><script>alert(1)</script></section>' );
$html            = shown();
check( 'the user is named', claims_in( $html )['sub'], 'shop/user/55' );
check( 'the fragment is inside', strpos( $html, '<p>Anna</p>' ) !== false, true );
check( 'no script of it', strpos( $html, '<script>alert' ), false );
check( 'it was asked with the token', strpos( $world['asked'][0][1]['headers']['Authorization'], 'Bearer ey' ), 0 );
check( 'at the right place', $world['asked'][0][0], 'https://orderwire.example/portal/card.html' );
check( 'in the reader\'s language', $world['asked'][0][1]['headers']['Accept-Language'], 'de-DE' );
check( 'the secret stays', strpos( $html, $vectors['secrets'][0] ), false );
$world['meta'] = ' 10017 ';
check( 'the customer number is named', claims_in( shown() )['sub'], '10017' );
$world['answer'] = array( 500, 'Fatal error' );
check( 'an error is not shown', strpos( shown(), 'Fatal' ), false );
$world['user'] = 0;
check( 'nobody is shown nothing', shown(), '' );

echo 0 === $failed ? "The plugin signs and shows as agreed.\n" : "$failed failed.\n";
exit( 0 === $failed ? 0 : 1 );
