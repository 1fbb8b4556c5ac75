<?php
/**
 * Plugin Name: Affiliate Postbacks
 * Description: Keeps the referral link of a customer with their WooCommerce order.
 * Version: 1.0
 * License: MIT
 */

defined('ABSPATH') || exit;

// The address of your Affiliate Postbacks.
const AFFILIATE_POSTBACKS_URL = 'https://panel.example';

// First in each page, before anything can redirect.
add_action('wp_head', function () {
    printf("<script src=\"%s\"></script>\n", esc_url(AFFILIATE_POSTBACKS_URL . '/t.js'));
}, 0);

function affiliate_postbacks_keep_link($order) {
    $given = $_COOKIE['_aff_landing'] ?? $_POST['_aff_landing'] ?? '';
    if (is_string($given) && preg_match('/\A[A-Za-z0-9_-]{1,2700}\z/', $given)) {
        $order->update_meta_data('_aff_landing', $given);
    }
}

// The classic checkout, and the checkout block.
add_action('woocommerce_checkout_create_order', 'affiliate_postbacks_keep_link');
add_action('woocommerce_store_api_checkout_update_order_from_request', 'affiliate_postbacks_keep_link');
